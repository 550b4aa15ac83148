"""What a loop of a SavedModel calls as one operation is run by an executor of one thread.

The usual executor counts for each operation what it still waits for, and asks a pool of threads for
each that is ready. Of a thousand small operations that is a large part of what they cost. Another
one of TensorFlow runs them in an order that is known beforehand. It takes a function that neither
branches nor loops. Within an operation, such as the product of a large catalogue, threads are used
as before.
"""

from collections.abc import Mapping
from pathlib import Path

from tensorflow.core.framework import function_pb2

from cmml_tf.serving.version.saved_functions import saved_functions

_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_LOOPS = {"StatelessWhile", "While"}
_BRANCHES = {"Case", "If", "StatelessCase", "StatelessIf"}
_EXECUTOR = b"SINGLE_THREADED_EXECUTOR"

Library = Mapping[str, function_pb2.FunctionDef]


def run_loop_calls_in_order(saved_model_dir: Path) -> None:
    """Rewrites a SavedModel in place.

    Args:
      saved_model_dir: The folder with `saved_model.pb`.
    """
    with saved_functions(saved_model_dir) as functions:
        library = {one.signature.name: one for one in functions}
        nodes = [node for function in functions for node in function.node_def]
        for body in {node.attr["body"].func.name for node in nodes if node.op in _LOOPS}:
            for node in library[body].node_def:
                # One that is inlined is no operation when it is run.
                if node.op in _CALLS:
                    called = node.attr["f"].func.name
                    if library[called].attr["_noinline"].b and _is_straight(called, library):
                        node.attr["executor_type"].s = _EXECUTOR


def _is_straight(name: str, library: Library) -> bool:
    """Whether a function, and what it calls, neither branches nor loops."""
    nodes = library[name].node_def
    called = [node.attr["f"].func.name for node in nodes if node.op in _CALLS]
    return all(node.op not in _LOOPS | _BRANCHES for node in nodes) and all(
        _is_straight(one, library) for one in called
    )
