"""Prepares a raw log for training: reads, filters and splits it into a folder of scenarios.

cmml prepare --data path/to/ml-20m --out prepared/ml-20m
cmml prepare --data path/to/themes --out prepared/themes --scenario.max-items 20000
cmml prepare --data log.csv --out prepared/log --runner beam --split.time 2024-03-01
cmml prepare --data log.csv.gz --out prepared/log --columns user=customer,item=sku
cmml train scenario --data prepared/ml-20m

The folder appears when it is complete. After a kill, the same command goes on where it was. The
last lines are JSON: rows, seconds, and the most memory this process has held.
"""

import json
import re
import resource
import time
from collections.abc import Sequence

from cmml_tf.commands.options import parse
from cmml_tf.config.preparation import PrepareConfig
from cmml_tf.datasets.preparation.prepare import prepare_folder
from cmml_tf.datasets.tasks.protocols import described_protocol

_SECONDS_BETWEEN_LINES = 2.0


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    config = parse(PrepareConfig, argv, __doc__)
    start, cpu = time.monotonic(), time.process_time()
    manifest = prepare_folder(config, _Progress(start))
    for name, count in manifest["counts"].items():
        print(f"  {name}: {count:,}")
    print(f"  {described_protocol(**manifest['protocol'])}")
    figures = {
        "out": config.out,
        "rows": manifest["counts"]["interactions read"],
        "seconds": round(time.monotonic() - start, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(figures, indent=2))
    return 0


class _Progress:
    """Prints the end of every stage, and between them a line every few seconds."""

    def __init__(self, start: float) -> None:
        self._start = self._last = start

    def __call__(self, done: str) -> None:
        now = time.monotonic()
        numbers = re.search(r"(\d+) of (\d+)", done)
        between = numbers is not None and numbers[1] != numbers[2]
        if not between or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            print(f"{now - self._start:7.1f} s  {done}", flush=True)
