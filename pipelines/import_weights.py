"""Serves a model of the reference implementation: `cmml import-weights` of a checkout."""

from cmml_tf.commands.import_weights import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
