"""Writes a data set of a published layout: `cmml generate` of a checkout."""

from cmml_tf.commands.data.generate import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
