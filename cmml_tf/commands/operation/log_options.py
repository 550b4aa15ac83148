"""Options of commands that ask exports about a log."""

from collections.abc import Sequence
from typing import Any

import yaml

from cmml_tf.program import Arguments


def add_log_options(parser: Arguments) -> None:
    """Adds `--option` and `--hash-user-ids`."""
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
