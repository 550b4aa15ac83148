"""The functions of a SavedModel, to be rewritten where they stand."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorflow.core.framework import function_pb2
from tensorflow.core.protobuf import saved_model_pb2


@contextmanager
def saved_functions(saved_model_dir: Path) -> Iterator[list[function_pb2.FunctionDef]]:
    """The functions, which are written back behind the block as they are then.

    Args:
      saved_model_dir: The folder with `saved_model.pb`.
    """
    file = saved_model_dir / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    yield [one for graph in saved.meta_graphs for one in graph.graph_def.library.function]
    file.write_bytes(saved.SerializeToString(deterministic=True))
