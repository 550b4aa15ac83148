"""Nothing in a SavedModel waits for a read.

A function returns behind all reads of its variables, so what takes its answers waits for them, too.
To who rewrites graphs, an operation that waits is another than the same one that does not: both are
computed. Served variables never change, and to wait for their reads is of no use.
"""

from pathlib import Path

from tensorflow.core.framework import function_pb2

from cmml_tf.serving.version.saved_functions import saved_functions

_READS = {"Const", "GatherNd", "GatherV2", "ReadVariableOp"}


def drop_idle_waits(saved_model_dir: Path) -> None:
    """Rewrites a SavedModel in place, whose variables no function writes.

    Args:
      saved_model_dir: The folder with `saved_model.pb`.
    """
    with saved_functions(saved_model_dir) as functions:
        for function in functions:
            _drop(function)


def _drop(function: function_pb2.FunctionDef) -> None:
    reads = {f"^{node.name}" for node in function.node_def if node.op in _READS}
    for node in function.node_def:
        node.input[:] = [one for one in node.input if one not in reads]
    for name in [name for name, node in function.control_ret.items() if f"^{node}" in reads]:
        del function.control_ret[name]
        function.signature.control_output.remove(name)
