"""Writes a data set of a published layout and any size, with scenarios that a learner can find.

cmml generate --out data/small                 # MovieLens' layout, 100,000 ratings
cmml generate --out data/big --size ml-20m     # as many as MovieLens-20M
cmml generate --out data/themes --size taobao  # Taobao's theme clicks, 2 GB
"""

from collections.abc import Sequence
from pathlib import Path

from cmml_tf.commands.options import parse
from cmml_tf.config.preparation import GenerateConfig
from cmml_tf.datasets.synthetic.generated_logs import generate_logs


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    config = parse(GenerateConfig, argv, __doc__)
    lines = generate_logs(config, progress=print)
    for name, count in lines.items():
        print(f"{Path(config.out) / name}: {count:,} lines")
    return 0
