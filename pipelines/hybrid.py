"""Puts two data sets side by side: `cmml hybrid` of a checkout."""

from cmml_tf.commands.data.hybrid import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
