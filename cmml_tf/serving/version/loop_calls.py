"""What a loop of a SavedModel calls as one operation is run by an executor of one thread.

The usual executor counts for each operation what it still waits for, and asks a pool of threads for
each that is ready. Of a thousand small operations that is a large part of what they cost. Another
one of TensorFlow runs them in an order that is known beforehand. It takes a function that neither
branches nor loops, and should call none either: while that one is run by another thread of the
pool, this one waits, and where all threads wait nothing goes on. Within an operation, such as the
product of a large catalogue, threads are used as before.
"""

from pathlib import Path

from cmml_tf.serving.version.saved_functions import saved_functions

_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_LOOPS = {"StatelessWhile", "While"}
_BRANCHES = {"Case", "If", "StatelessCase", "StatelessIf"}
_EXECUTOR = b"SINGLE_THREADED_EXECUTOR"


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
                if node.op in _CALLS:
                    called = library[node.attr["f"].func.name]
                    within = {one.op for one in called.node_def}
                    # One that is inlined is no operation when it is run.
                    apart = "_noinline" in called.attr and called.attr["_noinline"].b
                    if apart and not within & (_CALLS | _LOOPS | _BRANCHES):
                        node.attr["executor_type"].s = _EXECUTOR
