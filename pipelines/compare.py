"""Compares systems on the same saved episodes of each seed; writes tables with significance.

python pipelines/compare.py --systems item-pop,no-context,cmml-film,cmml-ridge --seeds 5
python pipelines/compare.py --setting user --systems item-mean,cmml-film,ridge --data ml-1m
python pipelines/compare.py --systems pe,se,se-dot --data FOLDER --steps 1000 --out runs/encoders

Killed and started again, it goes on: what a system reached with a seed is a file written whole.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import command_line
import tyro
from own_process import run_alone

from cmml_tf.evaluation.comparison import Comparison
from cmml_tf.evaluation.comparison_cell import Cell
from cmml_tf.evaluation.comparison_config import ComparisonConfig
from cmml_tf.evaluation.systems import RATING_SYSTEMS, SCENARIO_SYSTEMS, system_names
from cmml_tf.training.run_folder import RunFolder


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    config = tyro.cli(
        ComparisonConfig,
        args=command_line.spelled_out(argv),
        prog=Path(sys.argv[0]).name,
        description=(
            f"{__doc__}\n\nSystems of the scenario setting: {', '.join(SCENARIO_SYSTEMS)}.\n"
            f"Systems of the user setting: {', '.join(RATING_SYSTEMS)}."
        ),
    )
    out = comparison_folder(config)
    comparison = compare(config, out)
    comparison.save(out)
    print(f"\n{comparison.markdown()}\nTable: {out / 'table.md'}")
    return 0


def comparison_folder(config: ComparisonConfig) -> Path:
    """As configured, or named after setting and data."""
    if config.out is not None:
        return Path(config.out)
    second = "" if config.hybrid_with is None else f"+{Path(config.hybrid_with).name}"
    return Path("runs") / f"compare-{config.setting}-{Path(config.data).name}{second}"


def claim(config: ComparisonConfig, out: Path) -> None:
    """Takes the folder for this comparison; one that is continued may have more systems or seeds.

    Raises:
      ValueError: Another comparison has been run in this folder, or which one cannot be told.
      OSError: The folder cannot be written.
    """
    RunFolder(out, parts="seed-*").claim(config, config.free_to_change)


def compare(config: ComparisonConfig, out: Path) -> Comparison:
    """Finishes every cell and compares; see `finish`."""
    return Comparison.of(config.setting, out, finish(config, out))


def finish(config: ComparisonConfig, out: Path) -> list[Cell]:
    """Runs every cell that is not finished yet, and returns all; with `only_finished` runs none.

    Raises:
      ValueError: A system is unknown, another comparison has been run in this folder, or nothing is
        finished where only that is asked for.
      OSError: A cell's process failed; says what it wrote last.
    """
    names = system_names(config.setting, config.systems)
    cells = [Cell(name, seed) for seed in range(config.seeds) for name in names]
    if config.only_finished:
        cells = [cell for cell in cells if cell.is_finished(out)]
        if not cells:
            raise ValueError(f"Nothing of {', '.join(names)} is finished in {out}.")
    claim(config, out)
    for number, cell in enumerate(cells, start=1):
        if not cell.is_finished(out):
            print(f"[{number}/{len(cells)}] {cell.system}, seed {cell.seed}", flush=True)
            log = cell.folder(out) / "log.txt"
            run_alone("compare_cell.py", [str(out), cell.system, str(cell.seed)], log)
    return cells


if __name__ == "__main__":
    command_line.run(main)
