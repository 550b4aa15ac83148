"""Prints the models that one chooses between, and when to take which.

cmml presets
"""

from collections.abc import Sequence

from cmml_tf.experiments.forms import FORMS
from cmml_tf.program import Arguments


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    Arguments(__doc__).parse_args(argv)
    for form in FORMS.values():
        print(f"cmml {form.command} --preset NAME")
        width = max(map(len, form.advice))
        for name, when in form.advice.items():
            default = " (default)" if name == form.options.config.preset else ""
            print(f"  {name:<{width}}  {when}{default}")
        print()
    return 0
