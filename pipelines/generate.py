"""Writes a data set of a published layout and any size, with scenarios that a learner can find.

python pipelines/generate.py --out data/small                 # MovieLens' layout, 100,000 ratings
python pipelines/generate.py --out data/big --size ml-20m     # as many as MovieLens-20M
python pipelines/generate.py --out data/themes --size taobao  # Taobao's theme clicks, 2 GB
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import command_line
import tyro

from cmml_tf.data_config import GenerateConfig
from cmml_tf.datasets.generated_logs import generate_logs


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    config = tyro.cli(GenerateConfig, args=argv, prog=Path(sys.argv[0]).name, description=__doc__)
    lines = generate_logs(config, progress=print)
    for name, count in lines.items():
        print(f"{Path(config.out) / name}: {count:,} lines")
    return 0


if __name__ == "__main__":
    command_line.run(main)
