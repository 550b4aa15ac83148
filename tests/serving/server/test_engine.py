import os
import stat
import subprocess
import sys


def test_auto_becomes_tensorflow_model_server_where_it_is_on_the_path(tmp_path):
    real = tmp_path / "tensorflow_model_server"
    real.write_text('#!/bin/sh\necho "$0 $@"\n')
    real.chmod(real.stat().st_mode | stat.S_IEXEC)
    finished = subprocess.run(
        [sys.executable, "-m", "cmml_tf.serving.server", "--engine=auto", "--model_base_path=m"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.split() == [str(real), "--model_base_path=m"]
