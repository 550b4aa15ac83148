"""Clicks, as services have them, made into a support set with labels."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.client.errors import InputError

Id = str | int
MOST_SHOWN = 128
"""Candidates that are named as shown; more tell hardly more of what a scenario is about."""


class LabelledSupport(NamedTuple):
    """A support set of one task, as `Client.score` and `Run.score` take it.

    Attributes:
      user, item: Ids of the pairs.
      label: 1.0 for a click, 0.0 for an item that stands for those not clicked.
    """

    user: list[Id]
    item: list[Id]
    label: list[float]


def support_from_clicks(
    clicks: Any,
    candidates: Any,
    negatives: int = 2,
    seed: int = 0,
    shown_to: Id | None = None,
) -> LabelledSupport:
    """Each click with items beside it that its user did not click.

    Those are drawn from the candidates with equal chances, different ones for each click. Where a
    user has clicked so many that fewer are left, the click has fewer. With `shown_to`, 128
    candidates follow that this user did not click, or as many as there are: what a scenario shows
    tells of it before there are clicks. The same arguments give the same support.

    Args:
      clicks: Pairs (user, item) of a scenario, in order: a list of pairs, an array [N, 2], or a
        DataFrame with two columns, user and item. Ids are strings or integers.
      candidates: Item ids that the scenario shows.
      negatives: Items beside each click; 0 for clicks alone.
      seed: Of the draw.
      shown_to: A user of the pairs of what is shown, whoever it is; None: there are no such pairs.
        For `cmml-matching`, which reads refused pairs without a click, and of these no user.

    Raises:
      InputError: Clicks that are not pairs, an id that is neither a string nor an integer,
        candidates that are missing, or a negative number.

    Example:

    >>> support_from_clicks([("ann", "tea")], ["tea", "milk"], negatives=1)
    LabelledSupport(user=['ann', 'ann'], item=['tea', 'milk'], label=[1.0, 0.0])
    """
    for name, value in (("negatives", negatives), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise InputError(f"`{name}` must be an integer of at least 0. Received: {value!r}.")
    pairs = _pairs(clicks)
    pool = list(dict.fromkeys(_ids("candidates", _values("candidates", candidates))))
    if shown_to is not None:
        shown_to = _ids("shown_to", [shown_to, *(user for user, _ in pairs)])[0]
    if (shown_to is not None or (pairs and negatives)) and not pool:
        raise InputError("`candidates` must hold the items of the scenario. Received: none.")
    taken: dict[Id, set[Id]] = {}
    for user, item in pairs:
        taken.setdefault(user, set()).add(item)
    rng = np.random.default_rng(seed)
    left: dict[Id, list[Id]] = {}
    support = LabelledSupport([], [], [])

    def add(user: Id, clicked: list[Id], most: int) -> None:
        if user not in left:
            left[user] = [one for one in pool if one not in taken.get(user, ())]
        others = left[user]
        drawn = rng.choice(len(others), min(most, len(others)), replace=False)
        items = [*clicked, *(others[place] for place in drawn.tolist())]
        support.user.extend([user] * len(items))
        support.item.extend(items)
        support.label.extend([1.0] * len(clicked) + [0.0] * (len(items) - len(clicked)))

    for user, item in pairs:
        add(user, [item], int(negatives))
    if shown_to is not None:
        add(shown_to, [], MOST_SHOWN)
    return support


def _pairs(clicks: Any) -> list[tuple[Id, Id]]:
    if hasattr(clicks, "columns") and hasattr(clicks, "iloc"):  # a DataFrame
        if len(clicks.columns) != 2:
            raise InputError(
                "`clicks` must have two columns, user and item. "
                f"Received: {', '.join(map(str, clicks.columns))}."
            )
        users, items = (clicks.iloc[:, place].tolist() for place in range(2))
    else:
        pairs = [_pair(one) for one in _values("clicks", clicks)]
        users, items = [user for user, _ in pairs], [item for _, item in pairs]
    return list(zip(_ids("clicks", users), _ids("clicks", items), strict=True))


def _pair(click: Any) -> tuple[Any, Any]:
    if isinstance(click, str | bytes) or not hasattr(click, "__len__") or len(click) != 2:
        raise InputError(f"`clicks` must be pairs (user, item). Received: {click!r}.")
    user, item = click
    return user, item


def _values(name: str, values: Any) -> list[Any]:
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"`{name}` must be a sequence. Received: {values!r}.")
    # A set of strings has another order in every process.
    return sorted(values, key=repr) if isinstance(values, set | frozenset) else list(values)


def _ids(name: str, values: list[Any]) -> list[Id]:
    """The ids as Python's own strings and integers, all of one kind."""
    ids = [value.item() if isinstance(value, np.generic) else value for value in values]
    for value in ids:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InputError(f"`{name}` must hold ids, strings or integers. Received: {value!r}.")
    if len({isinstance(value, str) for value in ids}) > 1:
        raise InputError(
            f"`{name}` must hold ids of one kind, strings or integers. Received: both."
        )
    return ids
