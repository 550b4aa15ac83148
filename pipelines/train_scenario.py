"""Trains CMML for unseen scenarios: `cmml train scenario` of a checkout."""

from cmml_tf.commands.train_scenario import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
