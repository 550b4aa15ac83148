"""Trains CMML for new users, evaluates it beside simple systems, and exports it.

cmml train user                                          # ratings; movielens-small
cmml train user --data ml-1m --preset ridge --seed 1
cmml train user --data FOLDER --tasks.tasks FOLDER/user_tasks.csv
cmml train user --objective ranking --liked 4            # what a user takes next
cmml train user --objective ranking --data clicks.parquet
"""

from collections.abc import Sequence
from pathlib import Path

from cmml_tf.commands.options import spelled_out
from cmml_tf.commands.train import train
from cmml_tf.experiments.forms import FORMS
from cmml_tf.plain_yaml import load_plain_yaml
from cmml_tf.program import Arguments

_FORMS = {"rating": "user", "ranking": "ranking"}


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    return train(FORMS[_FORMS[_objective(argv)]], argv, __doc__)


def _objective(argv: Sequence[str]) -> str:
    """What is predicted of a user, as a flag or the options file says.

    Raises:
      ValueError: It is neither a rating nor a ranking.
    """
    early = Arguments(add_help=False)
    early.add_argument("--objective")
    early.add_argument("--config")
    known, _ = early.parse_known_args(spelled_out(argv))
    objective = known.objective
    if objective is None and known.config is not None:
        file = Path(known.config)
        content = load_plain_yaml(file) if file.is_file() else None
        objective = content.get("objective") if isinstance(content, dict) else None
    objective = objective or "rating"
    if objective not in _FORMS:
        raise ValueError(
            f"`objective` must be one of {', '.join(_FORMS)}. Received: objective={objective!r}."
        )
    return objective
