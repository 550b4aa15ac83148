"""Evaluates a finished run again: `cmml evaluate` of a checkout."""

from cmml_tf.commands.evaluate import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
