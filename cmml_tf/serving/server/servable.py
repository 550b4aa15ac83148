"""One loaded version of a model: its signatures, and how to run them."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from cmml_tf.serving.server.status import (
    Code,
    ServingError,
    code_of_number,
    failed_precondition,
    invalid_argument,
    not_found,
)

DEFAULT_SIGNATURE = "serving_default"


class Servable:
    """A SavedModel in memory.

    Attributes:
      name: Name of the model.
      version: Its number.
      signature_defs: The signatures as exported, by name.
    """

    def __init__(self, name: str, version: int, path: str, tags: Sequence[str]):
        """Loads `path`.

        Raises:
          ServingError: No graph with these tags.
          Exception: Whatever TensorFlow raises for a folder that is not a whole SavedModel.
        """
        self.name = name
        self.version = version
        self.signature_defs = dict(_read_meta_graph(path, tags).signature_def)
        # Tables and variables live as long as the loaded object does.
        self._loaded = tf.saved_model.load(path, tags=list(tags))
        self._functions = dict(self._loaded.signatures)
        self._dtypes = {
            key: {
                name: tf.as_dtype(info.dtype)
                for name, info in self.signature_defs[key].inputs.items()
            }
            for key in self._functions
        }

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """The signature of this name; `""` means `serving_default`.

        Raises:
          ServingError: FAILED_PRECONDITION when there is none.
        """
        key = name or DEFAULT_SIGNATURE
        if key not in self._functions:
            raise failed_precondition(f'Serving signature key "{key}" not found.')
        return self.signature_defs[key]

    def run(self, signature_name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature on inputs that were checked against it.

        Raises:
          ServingError: With the code and message of the operation that failed.
        """
        key = signature_name or DEFAULT_SIGNATURE
        dtypes = self._dtypes[key]
        try:
            tensors = {name: tf.constant(array, dtypes[name]) for name, array in inputs.items()}
            outputs = self._functions[key](**tensors)
            return {name: tensor.numpy() for name, tensor in outputs.items()}
        except tf.errors.OpError as error:
            raise ServingError(code_of_number(error.error_code), _reason(error.message)) from error
        except UnicodeDecodeError as error:
            # TensorFlow quotes bytes of the request in its message, and Python cannot read it.
            raise invalid_argument(
                f"Signature `{key}` refused the request, which holds bytes that are not text."
            ) from error


def _read_meta_graph(path: str, tags: Sequence[str]) -> meta_graph_pb2.MetaGraphDef:
    file = os.path.join(path, "saved_model.pb")
    try:
        with open(file, "rb") as stream:
            saved_model = saved_model_pb2.SavedModel.FromString(stream.read())
    except FileNotFoundError as error:
        raise not_found(
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}"
        ) from error
    except DecodeError as error:
        raise ServingError(Code.DATA_LOSS, f"Can't parse {file} as binary proto") from error
    for meta_graph in saved_model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == set(tags):
            return meta_graph
    raise not_found(
        f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }} in {path}"
    )


def _reason(message: str) -> str:
    """TensorFlow's message without the stack trace of the graph's construction."""
    kept = []
    for line in message.splitlines():
        if "[[{{node" in line:
            break
        noise = line.startswith(("Graph execution error", "Detected at node", "<stack traces"))
        if line.strip() and not noise:
            kept.append(line.strip())
    return " ".join(kept) or message
