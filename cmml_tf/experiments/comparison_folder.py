"""The folder of a comparison: finishes its cells, each in a process of its own."""

from dataclasses import replace
from pathlib import Path

from cmml_tf.config import override
from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.experiments.comparison import Comparison
from cmml_tf.experiments.comparison_cell import Cell
from cmml_tf.experiments.forms import FORMS
from cmml_tf.experiments.own_process import run_alone
from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.systems import system_names
from cmml_tf.training.run_folder import RunFolder, read_record


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


def load_comparison(out: Path) -> ComparisonConfig:
    """The configuration of a comparison's folder.

    Raises:
      ValueError: Its file is missing or damaged.
    """
    return override(ComparisonConfig(), read_record(out / "config.yaml"))


def compare(config: ComparisonConfig, out: Path) -> Comparison:
    """Finishes every cell and compares; see `finish`."""
    return Comparison.of(FORMS[config.setting], out, finish(config, out))


def finish(config: ComparisonConfig, out: Path) -> list[Cell]:
    """Runs every cell that is not finished yet, and returns all; with `only_finished` runs none.

    Raises:
      ValueError: A system is unknown, another comparison has been run in this folder, the data has
        no such name or path, or nothing is finished where only that is asked for.
      FileNotFoundError: A file that an option names is missing.
      OSError: A cell's process failed; says what it wrote last.
    """
    form = FORMS[config.setting]
    names = system_names(form.systems, config.systems)
    cells = [Cell(name, seed) for seed in range(config.seeds) for name in names]
    if config.only_finished:
        cells = [cell for cell in cells if cell.is_finished(out)]
        if not cells:
            raise ValueError(f"Nothing of {', '.join(names)} is finished in {out}.")
    elif not all(cell.is_finished(out) for cell in cells):
        _check_sources(form, config)
    claim(config, out)
    for number, cell in enumerate(cells, start=1):
        if not cell.is_finished(out):
            print(f"[{number}/{len(cells)}] {cell.system}, seed {cell.seed}", flush=True)
            log = cell.folder(out) / "log.txt"
            run_alone("compare_cell", [str(out), cell.system, str(cell.seed)], log)
    return cells


def _check_sources(form: SettingForm, config: ComparisonConfig) -> None:
    """Refuses what a cell's own process would refuse, before one starts."""
    form.options.check_sources(config)
    if config.hybrid_with is not None:
        form.options.check_sources(replace(config, data=config.hybrid_with, hybrid_with=None))
