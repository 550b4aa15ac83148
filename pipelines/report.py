"""Writes the report of a finished run or comparison: `cmml report` of a checkout."""

from cmml_tf.commands.report import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
