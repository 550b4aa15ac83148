"""Options of commands that ask exports about a log."""

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml

from cmml_tf.hashed_ids import read_user_id_key
from cmml_tf.program import Arguments

if TYPE_CHECKING:
    from cmml_tf.operation.asked_log import GivenLog


def add_log_options(parser: Arguments) -> None:
    """Adds `--items`, `--users`, `--option` and `--hash-user-ids`."""
    for side in ("items", "users"):
        parser.add_argument(
            f"--{side}",
            metavar="TABLE",
            help=f"features of the log's {side}, as --{side} of a training; read of those that the "
            "export does not know",
        )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the training that is another one here, such as "
        "scenario.min_interactions=20 or read.columns=user=uid; may be given several times",
    )
    parser.add_argument(
        "--hash-user-ids", metavar="KEYFILE", help="key that the exports hash user ids with"
    )


def given_log(given: Namespace, data: str) -> "GivenLog":
    """The log that a command line names.

    Raises:
      ValueError, OSError: An option is not NAME=VALUE, or the key cannot be read.
    """
    options, key = nested_options(given.option), read_user_id_key(given.hash_user_ids)

    from cmml_tf.datasets.check_source import FeatureSource, check_features
    from cmml_tf.operation.asked_log import GivenLog

    tables = FeatureSource(given.items, given.users)
    check_features(tables)
    return GivenLog(data, options, key, tables)


def nested_options(given: Sequence[str]) -> dict[str, Any]:
    """`["scenario.min_items=5"]` as `{"scenario": {"min_items": 5}}`.

    Raises:
      ValueError: One is not of the form NAME=VALUE.
    """
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        *groups, last = name.strip().replace("-", "_").split(".")
        if not equals or not all((*groups, last)):
            raise ValueError(f"`--option` must be NAME=VALUE. Received: {one!r}.")
        place = found
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = yaml.safe_load(value)
    return found
