"""The kinds of features as somebody says them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cmml_tf.plain_yaml import load_plain_yaml
from cmml_tf.types import CONTENT_KINDS

NO_FEATURE = "none"
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
