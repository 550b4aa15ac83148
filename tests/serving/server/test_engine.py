import os
import stat
import subprocess
import sys

import pytest


@pytest.fixture
def start(tmp_path):
    """What a `tensorflow_model_server` on the path is started with: a line each of an echo."""
    real = tmp_path / "tensorflow_model_server"
    real.write_text('#!/bin/sh\necho "$0 $@"\necho "$TF_ENABLE_ONEDNN_OPTS"\n')
    real.chmod(real.stat().st_mode | stat.S_IEXEC)

    def started(**environment):
        known = {name: os.environ[name] for name in os.environ if name != "TF_ENABLE_ONEDNN_OPTS"}
        finished = subprocess.run(
            [
                sys.executable,
                "-m",
                "cmml_tf.serving.server",
                "--engine=auto",
                "--model_base_path=m",
            ],
            env=known | {"PATH": f"{tmp_path}:{os.environ['PATH']}"} | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return finished.stdout.splitlines()

    return started


def test_auto_becomes_tensorflow_model_server_where_it_is_on_the_path(start, tmp_path):
    assert start()[0] == f"{tmp_path}/tensorflow_model_server --model_base_path=m"


def test_onednn_is_off_unless_told_otherwise(start):
    assert start()[1] == "0"
    assert start(TF_ENABLE_ONEDNN_OPTS="1")[1] == "1"


def test_the_development_server_starts_without_keras_and_pandas():
    code = (
        "import sys\n"
        "from cmml_tf.serving.server.engine import run\n"
        "status = run(['--engine=python', '--model_config_file=absent'])\n"
        "print(status, *({'tensorflow', 'keras', 'tf_keras', 'pandas'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "tensorflow"], done.stderr
