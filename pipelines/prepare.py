"""Prepares a raw log for training: `cmml prepare` of a checkout."""

from cmml_tf.commands.data.prepare import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
