"""Puts user runs side by side: `cmml user-results` of a checkout."""

from cmml_tf.commands.experiments.user_results import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
