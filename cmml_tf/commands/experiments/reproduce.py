"""The paper's tables and figures from one command each, on the paper's data or on yours.

cmml reproduce table2 --data ml-20m --seeds 5
cmml reproduce table3 --data ml-1m
cmml reproduce table4 --data FOLDER --steps 1000
cmml reproduce figure4 --data FOLDER --systems cmml-soft-m

Options are those of `cmml compare` (see its --help). A table's runs stay in the comparison's
folder, so tables and figures of the same data share them. `--systems` adds rows that the paper does
not have.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cmml_tf.commands.options import parse
from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.experiments.comparison_folder import compare, comparison_folder
from cmml_tf.experiments.paper_layout import Part, layout, layout_json
from cmml_tf.experiments.paper_tables import PAPER_TABLES, TABLE_3_COLD, PaperTable
from cmml_tf.files import write_whole

# Figures and the systems that they show.
_FIGURES = {"figure2": "cmml-film,s2meta", "figure3": "cmml-film", "figure4": "cmml-soft-m"}


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    what = argv[0] if argv else "--help"
    if what in ("-h", "--help"):
        print(__doc__)
        return 0
    if what not in (*PAPER_TABLES, *_FIGURES):
        accepted = ", ".join((*PAPER_TABLES, *_FIGURES))
        raise ValueError(f"What to reproduce must be one of {accepted}. Received: {what!r}.")
    if what in PAPER_TABLES:
        table = PAPER_TABLES[what]
        rows = ",".join(system for _, system in table.rows)
        default = ComparisonConfig(systems=rows, setting=table.setting)
    else:
        default = ComparisonConfig(systems=_FIGURES[what])
    sys.argv[0] += f" {what}"
    config = parse(ComparisonConfig, argv[1:], __doc__, default)
    if what == "figure2" and config.setting == "user" and config.systems == default.systems:
        config = replace(config, systems="cmml-film,melu")
    if what in PAPER_TABLES:
        _table(what, PAPER_TABLES[what], config)
        return 0
    # Imported when asked for: TensorFlow and the drawing library start here.
    try:
        from cmml_tf.experiments import paper_figures
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Figures need {error.name}, which is not installed. "
            "Run pip install 'cmml_tf[figures]'."
        ) from None

    draw = {
        "figure2": paper_figures.figure_2,
        "figure3": paper_figures.figure_3,
        "figure4": paper_figures.figure_4,
    }[what]
    print(f"Written: {draw(config)}, .png and .svg")
    return 0


def _table(what: str, table: PaperTable, config: ComparisonConfig) -> None:
    out = comparison_folder(config)
    name = Path(config.data).name
    beside = table.columns_of(name)
    columns = beside or table.columns[0]
    if what == "table3":
        parts = _warm_and_cold(table, config, out)
    else:
        parts = [Part("", compare(config, out), columns, beside)]
    text = layout(what, table, parts, name)
    write_whole(out / f"{what}.md", text)
    write_whole(out / f"{what}.json", json.dumps(layout_json(parts, name), indent=2))
    print(f"\n{text}\nWritten: {out / what}.md, .json")


def _warm_and_cold(table: PaperTable, config: ComparisonConfig, out: Path) -> list[Part]:
    """W-W as configured; C-W drawn by user id, since given tasks say themselves who is warm."""
    beside = table.columns_of(Path(config.data).name)
    warm = compare(config, out)
    by_id = replace(config.tasks, split="cold-warm", tasks=None, meta_test_users=None)
    cold = compare(replace(config, tasks=by_id), out.with_name(f"{out.name}-cold-warm"))
    return [
        Part("W-W", warm, table.columns[0], beside),
        Part("C-W", cold, TABLE_3_COLD, None if beside is None else TABLE_3_COLD),
    ]
