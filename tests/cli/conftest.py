"""Commands as a user runs them, and one finished run that several tests look at."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from fresh_environment import fresh_environment

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
# The split is nobody's default: whatever comes after a training must read which one it was.
QUICK = (
    *("--quick", "--preset", "cmml-film", "--training.max-epochs", "5"),
    # Its items are known then, as the paper's model needs them to be.
    *("--split.validation-fraction", "0.15", "--split.protocol", "warm"),
    *("--curve.draws", "1"),
)


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

    def run_several(self, name, *argument_lists):
        """(Exit status, stderr) of one command with different arguments, in one process."""
        script = (
            "import contextlib, importlib, io, json, sys\n"
            f"sys.path.insert(0, {str(PIPELINES)!r})\n"
            "run = importlib.import_module('cmml_tf.program').run\n"
            f"main = importlib.import_module({name.removesuffix('.py')!r}).main\n"
            "results = []\n"
            "for arguments in json.load(sys.stdin):\n"
            "    sys.argv = ['command', *arguments]\n"
            "    errors, output = io.StringIO(), io.StringIO()\n"
            "    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(output):\n"
            "        try:\n"
            "            run(main)\n"
            "        except SystemExit as end:\n"
            "            results.append([end.code, errors.getvalue()])\n"
            "json.dump(results, sys.stdout)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps([[str(part) for part in parts] for parts in argument_lists]),
            cwd=self.folder,
            env=fresh_environment(TF_CPP_MIN_LOG_LEVEL="3"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


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
    done = Commands(folder).run("train_scenario.py", *QUICK, "--run-dir", "run")
    assert done.returncode == 0, done.stderr
    return FinishedRun(folder / "run", folder / "export" / "candidates", done.stdout)
