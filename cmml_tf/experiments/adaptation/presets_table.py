"""The table of presets: each on each data set with each seed, and what it costs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmml_tf.config import ScenarioRunConfig
from cmml_tf.evaluation.statistics import mean_interval
from cmml_tf.experiments.adaptation.cell import Cell
from cmml_tf.experiments.markdown import markdown_table

_HEAD = (
    *("preset", "data", "seeds", "Recall@10", "twin", "none", "swapped", "context gain"),
    *("parameters", "encode, CPU ms", "score 100, CPU ms", "training, s"),
)


def preset_cells(
    configs: Sequence[ScenarioRunConfig], support_sizes: tuple[int, ...]
) -> list[Cell]:
    """A cell for each run; extra support sizes are asked of planted scenarios only."""
    return [
        Cell(
            config.preset,
            Path(config.data).name,
            config,
            support_sizes if config.data.startswith("planted:") else (),
        )
        for config in configs
    ]


def markdown(cells: Sequence[Cell], results: Sequence[dict[str, Any]]) -> str:
    """The table, a row for each preset and data set; means over seeds with 95% intervals."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell, result in zip(cells, results, strict=True):
        groups.setdefault((cell.series, cell.x), []).append(result)
    lines = []
    for (preset, data), members in groups.items():
        cells_of_row = [
            preset,
            data,
            str(len(members)),
            _interval(members, "own"),
            *(_interval(members, name) for name in ("twin", "none", "swapped")),
            _interval(members, "gain", sign="+"),
            f"{members[0]['parameters']:,}",
            f"{_median(members, 'encode_ms'):.2f}",
            f"{_median(members, 'score_ms'):.2f}",
            f"{_median(members, 'train_seconds'):.0f}",
        ]
        lines.append(cells_of_row)
        for size in members[0]["by_support"]:
            values = [member["by_support"][size] for member in members]
            of_size = [preset, f"{data}, {size} positives", str(len(members)), _spelled(values)]
            lines.append([*of_size, *[""] * (len(_HEAD) - len(of_size))])
    return markdown_table(_HEAD, lines)


def _interval(members: Sequence[dict[str, Any]], name: str, sign: str = "") -> str:
    return _spelled([member[name] for member in members], sign)


def _spelled(values: Sequence[float], sign: str = "") -> str:
    mean, half_width = mean_interval(values)
    if len(values) == 1:
        return f"{mean:{sign}.4f}"
    return f"{mean:{sign}.4f} ± {half_width:.4f}"


def _median(members: Sequence[dict[str, Any]], name: str) -> float:
    return float(np.median([member[name] for member in members]))
