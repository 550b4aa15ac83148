"""Docstring examples run, and every public class and function has a docstring."""

import ast
import doctest
import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

ROOT = Path(__file__).resolve().parents[1]
# `__main__` modules are commands: importing them is running them.
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "cmml_tf").rglob("*.py"))
    if path.name != "__main__.py"
}
WITH_EXAMPLES = [name for name, path in SOURCES.items() if ">>> " in path.read_text()]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module, extraglobs={"tf": tf, "np": np, "pd": pd}, report=True)
    assert results.attempted > 0
    assert results.failed == 0, f"run `python -m doctest -v` on {name}"


def test_public_names_have_docstrings():
    missing = [
        f"{name}.{node.name}"
        for name, path in SOURCES.items()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert missing == []
