"""Trains CMML for unseen scenarios, evaluates it beside its baselines, and exports it for serving.

cmml train scenario                                          # cmml-matching, movielens-small
cmml train scenario --data ml-1m --preset cmml-soft-m --seed 1
"""

from collections.abc import Sequence

from cmml_tf.commands.train import train
from cmml_tf.experiments.forms import FORMS


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    return train(FORMS["scenario"], argv, __doc__)
