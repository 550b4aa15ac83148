"""Notebooks are programs that run, without outputs and without anybody's paths."""

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_environment import fresh_environment

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def program(path):
    return "\n\n".join("".join(cell["source"]) for cell in code_cells(path))


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == ["campaign", "new_users", "tfrs"]


@every_notebook
def test_outputs_are_not_kept(path):
    assert all(cell["outputs"] == [] for cell in code_cells(path))
    assert all(cell["execution_count"] is None for cell in code_cells(path))


@every_notebook
def test_it_is_a_program_without_paths_of_a_machine(path):
    tree = ast.parse(program(path))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert [text for text in texts if isinstance(text, str) and text.startswith(("/", "~"))] == []


@pytest.mark.slow
@every_notebook
def test_it_runs(path, tmp_path):
    environment = fresh_environment(PYTHONPATH=str(ROOT), TMPDIR=str(tmp_path))
    output = tmp_path / "output.txt"
    with output.open("wb") as written:
        notebook = subprocess.Popen(
            [sys.executable, "-c", program(path)],
            cwd=tmp_path,
            env=environment,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = notebook.wait()
        finally:
            # One that fails leaves its server, which would hold a pipe open for ever.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(notebook.pid, signal.SIGKILL)
    assert status == 0, output.read_text()
