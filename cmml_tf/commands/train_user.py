"""Trains CMML for new users (rating prediction), evaluates it beside means, and exports it.

cmml train user                                          # CMML-FiLM, movielens-small
cmml train user --data ml-1m --preset ridge --seed 1
cmml train user --data FOLDER --tasks.tasks FOLDER/user_tasks.csv
"""

from collections.abc import Sequence

from cmml_tf.commands.train import train
from cmml_tf.experiments.forms import FORMS


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    return train(FORMS["user"], argv, __doc__)
