"""Commands as a user runs them, and one finished run that several tests look at."""

import contextlib
import gc
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from fresh_environment import fresh_environment

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"


def quick(preset):
    """Options of a quick run.

    The split is nobody's default: whatever comes after a training must read which one it was. Its
    items are known then, as the paper's models need them to be.
    """
    return (
        *("--quick", "--preset", preset, "--training.max-epochs", "5"),
        *("--split.validation-fraction", "0.15", "--split.protocol", "warm"),
        *("--curve.draws", "1"),
    )


QUICK = quick("pe")


class Commands:
    """Starts the commands of the checkout in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, name, *arguments, **variables):
        """The process itself, without a shell around it; more environment variables if given."""
        environment = fresh_environment(TF_CPP_MIN_LOG_LEVEL="3", **variables)
        return subprocess.Popen(
            [sys.executable, str(PIPELINES / name), *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name, *arguments):
        process = self.start(name, *arguments)
        output, errors = process.communicate(timeout=600)
        return subprocess.CompletedProcess(name, process.returncode, output, errors)

    def run_here(self, name, *arguments):
        """As `run`, in this process, which has loaded TensorFlow."""
        errors, output = io.StringIO(), io.StringIO()
        thresholds = gc.get_threshold()
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ),
            mock.patch.object(sys, "argv", [name, *map(str, arguments)]),
            # As where Python runs a file: its own folder comes first.
            mock.patch.object(sys, "path", [str(PIPELINES), *sys.path]),
            contextlib.redirect_stderr(errors),
            contextlib.redirect_stdout(output),
            pytest.raises(SystemExit) as end,
        ):
            runpy.run_path(str(PIPELINES / name), run_name="__main__")
        gc.set_threshold(*thresholds)  # which a command sets for its process
        return subprocess.CompletedProcess(
            name, end.value.code, output.getvalue(), errors.getvalue()
        )

    def run_several(self, name, *argument_lists):
        """(Exit status, stderr) of one command with different arguments, in this process."""
        done = [self.run_here(name, *arguments) for arguments in argument_lists]
        return [(one.returncode, one.stderr) for one in done]


class FinishedRun(NamedTuple):
    """A quick run that nothing has interrupted."""

    run_dir: Path
    export_dir: Path
    output: str


@pytest.fixture
def commands(tmp_path):
    return Commands(tmp_path)


@pytest.fixture(scope="session")
def commands_in():
    """Commands of a folder that outlives a test."""
    return Commands


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    done = Commands(folder).run_here("train_scenario.py", *QUICK, "--run-dir", "run")
    assert done.returncode == 0, done.stderr
    return FinishedRun(folder / "run", folder / "export" / "candidates", done.stdout)
