"""Compares systems on the same tasks: `cmml compare` of a checkout."""

from cmml_tf.commands.experiments.compare import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
