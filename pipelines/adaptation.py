"""Experiments about adaptation: `cmml adaptation` of a checkout."""

from cmml_tf.commands.experiments.adaptation import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
