"""What `cmml --help` costs, and the help of the commands that have the most options."""

import resource
import statistics
import subprocess
import sys
from typing import Any

_PROGRAM = "from cmml_tf.commands.main import main; main()"
_HELP = ("--help", "train scenario --help", "train user --help", "compare --help")


def measure(rounds: int) -> dict[str, Any]:
    """CPU seconds of whole processes, start of Python included, by what is asked."""
    measured: dict[str, list[float]] = {words: [] for words in _HELP}
    for number in range(rounds + 1):
        for words, values in measured.items():
            before = _children()
            command = [sys.executable, "-c", _PROGRAM, *words.split()]
            subprocess.run(command, capture_output=True, check=True)
            if number:  # the first compiles
                values.append(_children() - before)
    return {
        "cpu_seconds": {
            f"cmml {words}": statistics.median(values) for words, values in measured.items()
        }
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
