"""Random numbers of the library come from keys, never from a state that dies with a process."""

import ast
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[1] / "cmml_tf"
NUMPY = {"default_rng", "Generator"}
# Pauses of a client between two attempts are no part of a result.
ALLOWED = {"client/transport/failures.py: random.uniform"}


def dotted(node):
    """`a.b.c` of attributes of a name; empty for others."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return before and f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def stateful_draws(tree):
    """Dotted names in a module that draw from, or set, the random state of a process."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            name = dotted(node.func)
            if name.endswith("default_rng"):
                yield f"{name}()"
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            parent, _, last = name.rpartition(".")
            of_tensorflow = parent == "tf.random" and not last.startswith("stateless_")
            if (
                (parent == "np.random" and last not in NUMPY)
                or parent == "random"
                or (of_tensorflow and last not in ("experimental", "fold_in"))
                or name == "tf.nn.dropout"
                or (parent == "tf.keras.layers" and last.endswith(("Dropout", "Noise")))
                or node.attr == "shuffle"
            ):
                yield name


def test_random_numbers_are_functions_of_seed_and_step():
    found = {
        f"{file.relative_to(LIBRARY)}: {name}"
        for file in LIBRARY.rglob("*.py")
        for name in stateful_draws(ast.parse(file.read_text()))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("tf.nn.dropout(x, 0.1)", True),
        ("tf.keras.layers.Dropout(0.1)", True),
        ("tf.random.normal([2])", True),
        ("tf.random.set_seed(1)", True),
        ("np.random.rand()", True),
        ("np.random.default_rng()", True),
        ("data.shuffle(10)", True),
        ("tf.random.stateless_uniform([2], key)", False),
        ("tf.random.experimental.stateless_fold_in(key, 1)", False),
        ("np.random.default_rng(seed)", False),
    ],
)
def test_what_counts_as_state(line, found):
    assert bool([*stateful_draws(ast.parse(line))]) == found
