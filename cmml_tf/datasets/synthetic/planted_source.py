"""Planted scenarios as a data set by name: `planted`, or `planted:subspace=3,label_noise=0.1`."""

import inspect
import math

from cmml_tf.config import SplitConfig
from cmml_tf.datasets.synthetic.planted_scenarios import PlantedScenarios, planted_scenarios
from cmml_tf.datasets.tasks.held_out import validation_size

# The split decides these, as for any data set.
_OF_THE_SPLIT = ("validation", "max_support_pairs")
_KINDS = {
    name: option.annotation
    for name, option in inspect.signature(planted_scenarios).parameters.items()
    if name not in _OF_THE_SPLIT
}


def generate_planted(data: str, split: SplitConfig, seed: int) -> PlantedScenarios:
    """Generates the planted scenarios that a name describes.

    Args:
      data: `planted`, or `planted:` and options of `planted_scenarios` as `name=value`, separated
        by commas. Validation scenarios are taken out of the `meta_train` ones, as elsewhere.
      split: `validation_fraction` and `max_support_pairs` are used.
      seed: Fixes everything, unless the name has a `seed` of its own.

    Raises:
      ValueError: The name has an unknown option, or a value is not accepted.

    Example:

    >>> name = "planted:meta_train=4,meta_test=2,users=50,users_per_scenario=20"
    >>> len(generate_planted(name, SplitConfig(validation_fraction=0.25), seed=0).data.meta_train)
    3
    """
    options = {"seed": seed, **_options(data)}
    meta_train = options.pop("meta_train", _default("meta_train"))
    validation = validation_size(meta_train, split.validation_fraction)
    return planted_scenarios(
        **options,
        meta_train=meta_train - validation,
        validation=validation,
        max_support_pairs=split.max_support_pairs,
    )


def _options(data: str) -> dict[str, int | float]:
    text = data.partition(":")[2]
    options: dict[str, int | float] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in _KINDS:
            raise ValueError(
                f"`data` = {data!r} names no option of planted scenarios: {name!r}. "
                f"Accepted: {', '.join(_KINDS)}."
            )
        try:
            options[name] = _KINDS[name](value)
        except ValueError:
            raise ValueError(
                f"`{name}` in `data` must be of type {_KINDS[name].__name__}. "
                f"Received: {name}={value!r}."
            ) from None
        if not math.isfinite(options[name]):
            raise ValueError(f"`{name}` in `data` must be finite. Received: {name}={value!r}.")
    return options


def _default(name: str) -> int:
    return inspect.signature(planted_scenarios).parameters[name].default
