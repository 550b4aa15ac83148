"""Writes the report of a finished run or comparison again, from what its folder holds.

cmml report runs/cmml-matching-movielens-small-0
cmml report runs/compare-scenario-movielens-small

`report.html` is one file that needs no network; its figures are in `figures/` as well. Every run
and comparison writes it at its end.
"""

from collections.abc import Sequence
from pathlib import Path

from cmml_tf.program import Arguments


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("folder", type=Path, help="folder of a finished run or comparison")
    folder = parser.parse_args(argv).folder

    from cmml_tf.experiments.forms import FORMS
    from cmml_tf.reports.comparison_page import write_comparison_report
    from cmml_tf.reports.run_page import write_run_report
    from cmml_tf.training.run_folder import read_record, setting_of

    if (folder / "table.json").exists():
        setting = read_record(folder / "table.json", ("setting",))["setting"]
        print(f"Report: {write_comparison_report(folder, FORMS[setting])}")
    else:
        print(f"Report: {write_run_report(folder, FORMS[setting_of(folder)])}")
    return 0
