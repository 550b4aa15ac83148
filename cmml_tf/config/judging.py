"""What a model is asked with support sets of every size, and what it has to be better than."""

from collections.abc import Sequence
from dataclasses import dataclass

from cmml_tf.config.checks import PositiveInt, check

MODEL_CONTROLS = ("none", "twin", "swapped", "flipped")
"""Controls of every setting: the model itself, asked or trained otherwise."""
SCENARIO_CONTROLS = ("item_pop", "dot", "item_pop_dot", "item_knn", "als_fold_in", "chance")
"""Controls of the scenario setting without a model."""
USER_CONTROLS = ("global_mean", "user_mean", "item_mean", "item_knn", "als_fold_in", "blend")
"""Controls of the user setting without a model."""
RANKING_CONTROLS = (
    *("popularity", "item_knn", "ease", "als_fold_in", "mult_vae", "knn_ease", "chance"),
)
"""Controls of the ranking setting without a model."""

_PREFIX = "better-than="


@dataclass(frozen=True)
class CurveConfig:
    """The curve by the size of the support set (docs/runs.md, "Controls")."""

    draws: PositiveInt = 3
    """Support sets of each size that are drawn for a task; results are their means."""
    most_asked: PositiveInt = 2000
    """Rankings (user setting: users) that are asked at each size, at the most."""

    def __post_init__(self) -> None:
        check(self)


def required_controls(require: str | None, simple: Sequence[str]) -> tuple[str, ...]:
    """The controls that a model must be better than.

    Args:
      require: `better-than=NAME,NAME,...`, or None: nothing is required.
      simple: The names that a setting has beside `MODEL_CONTROLS`.

    Raises:
      ValueError: It is not of this form, or names no control.

    Example:

    >>> required_controls("better-than=item-pop,twin", SCENARIO_CONTROLS)
    ('item_pop', 'twin')
    """
    if require is None:
        return ()
    listed = require.removeprefix(_PREFIX).split(",")
    names = [name.strip().lower().replace("-", "_") for name in listed]
    known = (*MODEL_CONTROLS, *simple)
    if not require.startswith(_PREFIX) or not set(names) <= set(known):
        raise ValueError(
            f"`require` must be {_PREFIX}NAMES, with commas between names out of "
            f"{', '.join(known)}. Received: require={require!r}."
        )
    return tuple(dict.fromkeys(names))
