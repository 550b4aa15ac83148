"""Plans a service: context cache hits under Zipf traffic, replicas, cores and memory.

python pipelines/planning/simulate_serving.py                         # figures of docs/serving.md
python pipelines/benchmark.py serve > serve.json
python pipelines/planning/simulate_serving.py --measured serve.json        # figures of this machine
python pipelines/planning/simulate_serving.py --capacity.users 5000000 --capacity.scenarios 300

Prints a Markdown table; --out FILE writes JSON with the configuration and every figure.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import tyro
from capacity import (
    CapacityConfig,
    capacity_table,
    measured_rates,
    plan_capacity,
)

from cmml_tf.files import write_whole
from cmml_tf.program import run


@dataclass(frozen=True)
class SimulateConfig:
    """What is planned, with which figures."""

    measured: str | None = None
    """JSON of `benchmark.py serve`: gives `full_per_core` and `with_context_per_core`."""
    measured_cores: int = 2
    """Cores on which that was measured."""
    batching: bool = False
    """Take the figures of the server with batching."""
    out: str | None = None
    """Where the JSON goes."""
    capacity: CapacityConfig = field(default_factory=CapacityConfig)

    def __post_init__(self) -> None:
        if self.measured_cores < 1:
            raise ValueError(
                "`measured_cores` must be a positive integer. "
                f"Received: measured_cores={self.measured_cores}."
            )


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    config = tyro.cli(SimulateConfig, args=argv, prog=Path(sys.argv[0]).name, description=__doc__)
    capacity = config.capacity
    if config.measured is not None:
        text = Path(config.measured).read_text()
        rates = measured_rates(json.loads(text), config.measured_cores, config.batching)
        capacity = replace(
            capacity,
            full_per_core=rates["full_per_core"],
            with_context_per_core=rates["with_context_per_core"],
        )
    lines = plan_capacity(capacity)
    print(capacity_table(lines))
    if config.out is not None:
        written = {"capacity": asdict(capacity), "lines": [asdict(line) for line in lines]}
        write_whole(Path(config.out), json.dumps(written, indent=2))
    return 0


if __name__ == "__main__":
    run(main)
