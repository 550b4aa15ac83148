"""What a model has to be better than before it is exported."""

from collections.abc import Sequence

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
