"""Puts finished runs of the user setting side by side, as Markdown and as a plot.

cmml user-results runs/user-*                      # tables
cmml user-results runs/user-* --plot curve.png     # and MAE by ratings known

Each folder is one run of `cmml train user`; those of a preset are its seeds.
"""

from collections.abc import Sequence
from pathlib import Path

from cmml_tf.experiments.rating_summary import read_rating_runs
from cmml_tf.program import Arguments


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a .png or .svg file to write")
    options = parser.parse_args(argv)
    runs = read_rating_runs(options.runs)
    if options.plot is not None:
        runs.plot_curve(options.plot)
    print(f"{runs.table()}\n\n{runs.curve_table()}")
    return 0
