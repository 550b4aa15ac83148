"""One loaded version of a model: its signatures, and how to run them."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import (
    config_pb2,
    meta_graph_pb2,
    rewriter_config_pb2,
    saved_model_pb2,
)

from cmml_tf.serving.server.status import (
    Code,
    ServingError,
    code_of_number,
    failed_precondition,
    invalid_argument,
    not_found,
)

DEFAULT_SIGNATURE = "serving_default"
_INTERNAL = "__saved_model_"
"""Prefix of signatures that initialise a graph."""
_CALLER = -1
"""TensorFlow's number for the caller's own thread."""


_SKIPPED_REWRITES = (
    "arithmetic_optimization",
    "common_subgraph_elimination",
    "constant_folding",
    "dependency_optimization",
    "layout_optimizer",
    "loop_optimization",
    "shape_optimization",
)


class Threads(NamedTuple):
    """Threads of TensorFlow.

    Attributes:
      intra_op: Threads that share one operation; 0: one, the request's own. Operations are small:
        sharing them costs more than it gains.
      inter_op: Operations of a request run at a time; 0: one, in the request's own thread.
    """

    intra_op: int = 0
    inter_op: int = 0


_THREADS = Threads()


class InputSpec(NamedTuple):
    """What an input must be.

    Attributes:
      dtype: Number of its TensorFlow dtype.
      sizes: Of its axes, -1 for any; None for any rank.
    """

    dtype: int
    sizes: tuple[int, ...] | None

    @classmethod
    def of(cls, info: meta_graph_pb2.TensorInfo) -> "InputSpec":
        """As the signature declares it."""
        shape = info.tensor_shape
        sizes = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
        return cls(info.dtype, sizes)

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        return self.sizes is None or (
            len(self.sizes) == len(shape)
            and all(want in (-1, got) for want, got in zip(self.sizes, shape, strict=True))
        )


class Signature(NamedTuple):
    """A signature, read once so that no request need read its proto.

    Attributes:
      definition: As exported.
      inputs: What its inputs must be, by name.
      outputs: Names of its outputs, sorted.
      call: Takes arrays in the order of `inputs`, returns arrays in that of `outputs`.
    """

    definition: meta_graph_pb2.SignatureDef
    inputs: dict[str, InputSpec]
    outputs: list[str]
    call: Callable[..., list[np.ndarray]]


class Servable:
    """A SavedModel in memory, run by a session as TensorFlow Serving runs it.

    A call of a session costs a tenth of a call of a loaded function: no tensors of Python objects
    in between, and the operations of a request run one after the other in its own thread.

    Attributes:
      name: Name of the model.
      version: Its number.
      signature_defs: The signatures as exported, by name.
    """

    def __init__(
        self,
        name: str,
        version: int,
        path: str,
        tags: Sequence[str],
        threads: Threads = _THREADS,
        compiles: bool = True,
    ):
        """Loads `path`; where XLA is off (`compiles`), nothing that has to be compiled.

        Raises:
          ServingError: No graph with these tags, or XLA is off and the graph needs it.
          Exception: Whatever TensorFlow raises for a folder that is not a whole SavedModel.
        """
        self.name = name
        self.version = version
        meta_graph = _read_meta_graph(path, tags)
        if not compiles and _has_to_be_compiled(meta_graph):
            raise ServingError(
                Code.INTERNAL,
                f"XLA compilation disabled: {path} was exported with --compile, and is served with "
                "--xla_cpu_compilation_enabled=true.",
            )
        self.signature_defs = dict(meta_graph.signature_def)
        # Variables and tables live in the session, and go with it.
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=_session_config(threads))
        tf.compat.v1.saved_model.load(self._session, list(tags), path)
        self._signatures = {
            key: _signature(self._session, signature, threads)
            for key, signature in self.signature_defs.items()
            if not key.startswith(_INTERNAL)
        }

    def signature(self, name: str) -> Signature:
        """The signature of this name; `""` means `serving_default`.

        Raises:
          ServingError: FAILED_PRECONDITION when there is none.
        """
        key = name or DEFAULT_SIGNATURE
        if key not in self._signatures:
            raise failed_precondition(f'Serving signature key "{key}" not found.')
        return self._signatures[key]

    def run(self, signature_name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature on inputs that were checked against it.

        Raises:
          ServingError: With the code and message of the operation that failed.
        """
        key = signature_name or DEFAULT_SIGNATURE
        signature = self._signatures[key]
        try:
            values = signature.call(*[inputs[name] for name in signature.inputs])
        except tf.errors.OpError as error:
            raise ServingError(code_of_number(error.error_code), _reason(error.message)) from error
        except UnicodeDecodeError as error:
            # TensorFlow quotes bytes of the request in its message, and Python cannot read it.
            raise invalid_argument(
                f"Signature `{key}` refused the request, which holds bytes that are not text."
            ) from error
        # Scalars come as NumPy scalars.
        return {
            name: np.asarray(value) for name, value in zip(signature.outputs, values, strict=True)
        }


def _session_config(threads: Threads) -> tf.compat.v1.ConfigProto:
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=threads.intra_op or 1,
        inter_op_parallelism_threads=threads.inter_op or _CALLER,
    )
    # Functions are inlined and operations fused. The other rewrites of each signature's graph take
    # longer than everything else at load, and exported graphs run no faster for them.
    rewrites = config.graph_options.rewrite_options
    rewrites.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    for name in _SKIPPED_REWRITES:
        setattr(rewrites, name, rewriter_config_pb2.RewriterConfig.OFF)
    return config


def _signature(
    session: tf.compat.v1.Session, definition: meta_graph_pb2.SignatureDef, threads: Threads
) -> Signature:
    inputs = {name: InputSpec.of(info) for name, info in definition.inputs.items()}
    outputs = sorted(definition.outputs)
    options = config_pb2.CallableOptions(
        feed=[definition.inputs[name].name for name in inputs],
        fetch=[definition.outputs[name].name for name in outputs],
    )
    options.run_options.inter_op_thread_pool = 0 if threads.inter_op else _CALLER
    # The public `Session.make_callable` takes locks and copies at each call: 0.1 ms.
    call = session._make_callable_from_options(options)
    return Signature(definition, inputs, outputs, call)


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


def _has_to_be_compiled(meta_graph: meta_graph_pb2.MetaGraphDef) -> bool:
    functions = meta_graph.graph_def.library.function
    return any("_XlaMustCompile" in function.attr for function in functions)


def _reason(message: str) -> str:
    """TensorFlow's message without the stack trace of the graph's construction."""
    kept = []
    for line in message.splitlines():
        if "[[{{" in line:
            break
        noise = line.startswith(("Graph execution error", "Detected at node", "<stack traces"))
        if line.strip() and not noise:
            kept.append(line.strip())
    return " ".join(kept) or message
