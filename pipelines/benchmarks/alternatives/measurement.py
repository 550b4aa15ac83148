"""Quality and cost of ours beside `implicit` and TFRS, and the picture of both."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf
from threadpoolctl import threadpool_limits

from benchmarks.alternatives import cost, quality
from benchmarks.alternatives.picture import draw

PRESETS = ("cmml-matching", "cmml-ridge", "cmml-film-plus")
_DRAWN = "20000 items"


def measure(rounds: int, data: str, plot: str | None) -> dict[str, Any]:
    """Recall@10, seconds of a training and milliseconds of a request by system, on one thread.

    Args:
      rounds: Of the requests, all systems in turn.
      data: What presets are trained on, and all are asked.
      plot: An SVG file for the picture; None: none is drawn.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    reached: dict[str, dict[str, quality.Reached]] = {}
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        folder = Path(name)
        # Before any training, which asks for operations that repeat to the last bit.
        costs = cost.measure(PRESETS, rounds, folder)
        _say(costs)
        for protocol in quality.SPLITS:
            reached[protocol] = quality.measure(data, protocol, PRESETS, folder / protocol)
            _say({protocol: reached[protocol]})
    recall = {
        protocol: {name: one.recall for name, one in systems.items()}
        for protocol, systems in reached.items()
    }
    if plot is not None:
        draw(Path(plot), recall, costs[_DRAWN][cost.CANDIDATES]["cpu_ms"])
    seconds = {
        protocol: {name: one.training_cpu_seconds for name, one in systems.items()}
        for protocol, systems in reached.items()
    }
    return {
        "data": data,
        quality.METRIC: recall,
        "training_cpu_seconds": seconds,
        "request": costs,
    }


def _say(part: dict[str, Any]) -> None:
    """What is found already, while the rest takes minutes."""
    print(json.dumps(part), file=sys.stderr, flush=True)
