"""Compares systems on the same saved episodes of each seed; writes tables with significance.

cmml compare --systems item-pop,als-fold-in,cmml-film,cmml-ridge,cmml-matching --seeds 5
cmml compare --setting user --systems item-mean,cmml-film,ridge --data ml-1m
cmml compare --systems pe,se,se-dot --data FOLDER --steps 1000 --out runs/encoders

Killed and started again, it goes on: what a system reached with a seed is a file written whole.
"""

import textwrap
from collections.abc import Sequence

from cmml_tf.commands.options import parse
from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.experiments.forms import FORMS


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    systems = (
        textwrap.fill(
            f"Systems of {form.name}: {', '.join(form.systems)}.", 98, break_on_hyphens=False
        )
        for form in FORMS.values()
    )
    config = parse(ComparisonConfig, argv, "\n".join([__doc__, *systems]))
    # Imported when options are known to be right: pandas starts here.
    from cmml_tf.experiments.comparison_folder import compare, comparison_folder

    out = comparison_folder(config)
    comparison = compare(config, out)
    comparison.save(out)
    print(f"\n{comparison.markdown()}\nTable: {out / 'table.md'}\nReport: {out / 'report.html'}")
    return 0
