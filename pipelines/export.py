"""Exports the model of a finished run: `cmml export` of a checkout."""

from cmml_tf.commands.export import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
