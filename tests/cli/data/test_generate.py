"""The command that writes data sets."""

import subprocess
import sys
from pathlib import Path

PIPELINES = Path(__file__).resolve().parents[3] / "pipelines"


def _run(*arguments):
    return subprocess.run(
        [sys.executable, str(PIPELINES / "generate.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_files_are_listed_and_a_wrong_option_is_one_sentence(tmp_path):
    out = tmp_path / "films"
    done = _run("--out", out, "--interactions", 2000, "--users", 50)
    assert done.returncode == 0, done.stderr
    lines = len((out / "ratings.csv").read_text().splitlines()) - 1
    assert f"{out / 'ratings.csv'}: {lines:,} lines" in done.stdout
    again = _run("--out", out)
    assert again.returncode == 2
    assert again.stderr.startswith("error: `out` must be a folder that does not exist.")
    assert len(again.stderr.splitlines()) == 1
