"""What `cmml --help` costs, the help of the commands that have the most options, a wrong path."""

import statistics
import subprocess
import sys
from typing import Any

from benchmarks.process_clock import children_seconds

_PROGRAM = "from cmml_tf.commands.main import main; main()"
_STATUS = {
    "--help": 0,
    "train scenario --help": 0,
    "train user --help": 0,
    "compare --help": 0,
    "train scenario --data none": 2,
    "export none": 2,
}


def measure(rounds: int) -> dict[str, Any]:
    """CPU seconds of whole processes, start of Python included, by what is asked."""
    measured: dict[str, list[float]] = {words: [] for words in _STATUS}
    for number in range(rounds + 1):
        for words, values in measured.items():
            before = children_seconds()
            command = [sys.executable, "-c", _PROGRAM, *words.split()]
            status = subprocess.run(command, capture_output=True, check=False).returncode
            if status != _STATUS[words]:
                raise OSError(f"cmml {words} ended with status {status}.")
            if number:  # the first compiles
                values.append(children_seconds() - before)
    return {
        "cpu_seconds": {
            f"cmml {words}": statistics.median(values) for words, values in measured.items()
        }
    }
