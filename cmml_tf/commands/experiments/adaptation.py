"""Experiments about adaptation: what makes a model read its support set, and what that costs.

cmml adaptation all                                 # every experiment, with plots
cmml adaptation sequence label-noise                # some of them
cmml adaptation table --data FOLDER planted:subspace=3 --seeds 0 1 2 3 4

Options that are not listed here are those of `cmml train scenario`, for the runs of the table.
What has been computed is kept in `--out` and never computed again. Plots need the extra `figures`.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmml_tf.commands.options import run_config
from cmml_tf.experiments.forms import FORMS
from cmml_tf.program import Arguments

_TABLE = "table"


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument(
        "what", nargs="+", metavar="WHAT", help=f"all, {_TABLE}, or names; a wrong one lists them"
    )
    parser.add_argument("--out", default="runs/adaptation", help="folder of results")
    parser.add_argument("--seed", type=int, default=0, help="of the experiments")
    parser.add_argument("--steps", type=int, help="train every cell for so many steps at the most")
    parser.add_argument("--minutes", type=float, help="start no cell after so many minutes")
    table = parser.add_argument_group(_TABLE)
    table.add_argument("--data", nargs="+", default=["movielens-small"])
    table.add_argument("--presets", nargs="+", default=["cmml-ridge"], metavar="PRESET[:SCHEDULE]")
    table.add_argument("--seeds", nargs="+", type=int, default=[0])
    table.add_argument("--support-sizes", nargs="+", type=int, default=[])
    arguments, of_the_runs = parser.parse_known_args(argv)
    configs = _run_configs(arguments, of_the_runs) if _TABLE in arguments.what else []
    # Imported behind the help, and when paths are known to be right: TensorFlow starts here.
    from cmml_tf.experiments.adaptation.grids import EXPERIMENTS, experiments

    wanted = EXPERIMENTS if arguments.what == ["all"] else arguments.what
    for name in wanted:
        if name not in (*EXPERIMENTS, _TABLE):
            raise ValueError(
                f"The experiment must be one of all, {_TABLE}, {', '.join(EXPERIMENTS)}. "
                f"Received: {name!r}."
            )
    folder = Path(arguments.out)
    deadline = None if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    for name in wanted:
        cells = (
            _table_cells(configs, arguments.support_sizes)
            if name == _TABLE
            else experiments(arguments.seed)[name]
        )
        cells = [cell.within_steps(arguments.steps) for cell in cells]
        results = _results(name, cells, folder, deadline)
        if results is None:
            print("The time is up; the same command goes on from here.")
            return 0
        _write(name, cells, results, folder)
    return 0


def _table_cells(configs: Sequence[Any], support_sizes: Sequence[int]) -> list[Any]:
    from cmml_tf.experiments.adaptation.presets_table import preset_cells

    return preset_cells(configs, tuple(support_sizes))


def _run_configs(arguments: argparse.Namespace, of_the_runs: Sequence[str]) -> list[Any]:
    return [
        _run_config(preset, data, seed, of_the_runs)
        for preset in arguments.presets
        for data in arguments.data
        for seed in arguments.seeds
    ]


def _run_config(preset: str, data: str, seed: int, more: Sequence[str]) -> Any:
    name, _, schedule = preset.partition(":")
    flags = ["--preset", name, "--data", data, "--seed", str(seed)]
    schedules = ["--schedule", schedule] if schedule else []
    options = FORMS["scenario"].options
    config = run_config([*flags, *schedules, *more], "", options)
    options.check_sources(config)
    return config


def _results(
    name: str, cells: Sequence[Any], folder: Path, deadline: float | None
) -> list[dict[str, Any]] | None:
    from cmml_tf.experiments.adaptation.cell import result_of

    results = []
    for number, cell in enumerate(cells, start=1):
        if deadline is not None and time.monotonic() > deadline and not cell.file(folder).exists():
            return None
        result = result_of(cell, folder)
        print(
            f"{name} {number}/{len(cells)}: {cell.series}, {cell.x}: Recall@10 "
            f"{result['own']:.4f}, swapped {result['swapped']:.4f}",
            flush=True,
        )
        results.append(result)
    return results


def _write(name: str, cells: Sequence[Any], results: list[dict[str, Any]], folder: Path) -> None:
    rows = [
        {"series": cell.series, "x": cell.x, **result}
        for cell, result in zip(cells, results, strict=True)
    ]
    (folder / f"{name}.json").write_text(json.dumps(rows, indent=2))
    if name == _TABLE:
        from cmml_tf.experiments.adaptation.presets_table import markdown

        text = markdown(cells, results)
        (folder / "table.md").write_text(text + "\n")
        print(text)
        return
    from cmml_tf.experiments.adaptation.plots import draw

    draw(name, cells, results, folder / f"{name}.png")
    print(f"Plot: {folder / f'{name}.png'}")
