"""The kind of a feature: as somebody says it, else by a rule that looks at the values.

Numbers are `numeric`. Lists of text are `multi-hot`, and so is text that has | in it. Lists of
numbers are a `vector` if all have one length, else `multi-hot`. Other text is `text` where more
than half of the values have several words and more than a tenth differ; else it is `categorical`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cmml_tf.datasets.reading.ids import NUMBER
from cmml_tf.plain_yaml import load_plain_yaml
from cmml_tf.types import CONTENT_KINDS

NO_FEATURE = "none"
SEPARATOR = "|"
_NUMBER = re.compile(NUMBER)
_CODE = re.compile(r"[+-]?0[0-9]")
_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_ACCEPTED = ", ".join((*CONTENT_KINDS, NO_FEATURE))
_SIDES = ("item", "user")


class DeclaredKinds(NamedTuple):
    """What is said of kinds.

    Attributes:
      item, user: Feature name -> kind, or `none` for a column that is no feature.
      alone: Columns that are not named are no features.
    """

    item: Mapping[str, str]
    user: Mapping[str, str]
    alone: bool = False


def declared_kinds(kinds: str | None) -> DeclaredKinds:
    """Reads what the option `kinds` says.

    Args:
      kinds: `title=text,price=numeric` for items and users alike; or a YAML file with the groups
        items and users, as `features.yaml` of the user setting, which names all features.

    Raises:
      FileNotFoundError: It looks like a file, and there is none.
      ValueError: It is neither, or a kind is none of those that there are.
    """
    if kinds is None:
        return DeclaredKinds({}, {})
    if kinds.endswith((".yaml", ".yml")):
        groups = load_plain_yaml(Path(kinds).expanduser())
        if not isinstance(groups, dict) or not groups.keys() <= {"items", "users"}:
            raise ValueError(
                f"{kinds} must have the groups items and users, each with feature names and their "
                f"kinds ({_ACCEPTED})."
            )
        found = [groups.get(f"{side}s") or {} for side in _SIDES]
        if not all(isinstance(group, dict) for group in found):
            raise ValueError(f"The groups of {kinds} must name features and their kinds.")
        declared = DeclaredKinds(*found, alone=True)
    else:
        pairs = [pair.partition("=") for pair in kinds.split(",")]
        named = {name.strip(): kind.strip() for name, _, kind in pairs}
        if not all(name and equals and kind for name, equals, kind in pairs) or len(named) < len(
            pairs
        ):
            raise ValueError(
                "`kinds` must be NAME=KIND with commas between, each NAME once, or a YAML file. "
                f"Received: kinds={kinds!r}."
            )
        declared = DeclaredKinds(named, named)
    for name, kind in (*declared.item.items(), *declared.user.items()):
        if kind not in (*CONTENT_KINDS, NO_FEATURE):
            raise ValueError(
                f"The kind of the feature {str(name)[:80]!r} must be one of {_ACCEPTED}. "
                f"Received: {str(kind)[:80]!r}."
            )
    return declared


def guessed_kind(values: Sequence[Any]) -> str:
    """The kind of a column that nothing was said of.

    Args:
      values: Text, "" where nothing is known; or lists of text or of floats, None where nothing is.
    """
    lists = [value for value in values if isinstance(value, list)]
    if lists:
        kinds = {type(member) for value in lists for member in value} - {type(None)}
        of_one_length = len({len(value) for value in lists}) == 1
        return "vector" if kinds == {float} and of_one_length else "multi-hot"
    known = [value for value in values if value]
    if _are_numbers(known):
        return "numeric"
    if any(SEPARATOR in value for value in known):
        return "multi-hot"
    several = sum(len(value.split()) > 1 for value in known)
    many = len(set(known)) * 10 > len(known)
    return "text" if 2 * several > len(known) and many else "categorical"


def _are_numbers(values: Sequence[str]) -> bool:
    """Whether all are numbers and none is a code that begins with 0.

    NaN and infinite ones beside finite numbers count: they are refused where they stand.
    """
    found = 0
    for value in values:
        if _NUMBER.match(value) and not _CODE.match(value):
            found += 1
        elif not _NOT_FINITE.fullmatch(value):
            return False
    return found > 0
