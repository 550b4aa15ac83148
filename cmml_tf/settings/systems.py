"""Systems that can be compared: by name, with label and training. No TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cmml_tf.config import TrainingConfig

PRESET_LABELS = {
    "cmml-film": "CMML-FiLM",
    "cmml-soft-m": "CMML-Soft-M",
    "cmml-linear": "CMML-Linear",
    "cmml-sigmoid": "CMML-Sigmoid",
    "non-negative": "Non-negative",
    "pe": "PE",
    "se": "SE",
    "se-mlp": "SE-MLP",
    "cmml-ridge": "CMML-ridge",
    "cmml-film-plus": "CMML-FiLM-plus",
    "cmml-soft-m-plus": "CMML-Soft-M-plus",
    "cmml-film-ridge": "CMML-FiLM-ridge",
    "cmml-soft-m-ridge": "CMML-Soft-M-ridge",
    "cmml-attention": "CMML-attention",
    "cmml-attention-query": "CMML-attention-query",
    "no-context": "MLP without context",
    "cmml-film-prior": "CMML-FiLM, learned prior",
    "cmml-soft-m-prior": "CMML-Soft-M, learned prior",
}
"""How tables spell a preset."""


@dataclass(frozen=True)
class System:
    """One row of a comparison.

    Attributes:
      label: How tables spell it.
      training: Its schedule; None: nothing is trained.
      episode: How its training tasks are drawn, and what is minimised over them.
      trained_as: The system whose trained weights it uses; None: its own.
      model: The preset's configuration; None: it is no preset.
      baseline: The baseline's configuration; None: it is none that is trained.
    """

    label: str
    training: TrainingConfig | None = None
    episode: Any = None
    trained_as: str | None = None
    model: Any = None
    baseline: Any = None


def system_names(systems: Mapping[str, System], names: str) -> tuple[str, ...]:
    """The systems of a list such as `item-pop,CMML_FiLM`, each once, in order.

    Presets that are one model under several names of the paper (`linear` and `se-dot` are
    `cmml-linear`) become the first of these names, so that nothing is trained twice.

    Raises:
      ValueError: No system has such a name; the message lists them.

    Example:

    >>> from cmml_tf.settings.scenario.systems import SCENARIO_SYSTEMS
    >>> system_names(SCENARIO_SYSTEMS, "ItemPop, se-dot, linear")
    ('item-pop', 'cmml-linear')
    """
    spelled = {name.replace("-", ""): name for name in systems}
    found = []
    for part in names.split(","):
        key = spelled.get(part.strip().lower().replace("_", "").replace("-", ""))
        if key is None:
            raise ValueError(
                f"`systems` must be names out of {', '.join(systems)}. Received: {part.strip()!r}."
            )
        found.append(first_name(systems, key))
    return tuple(dict.fromkeys(found))


def first_name(systems: Mapping[str, System], name: str) -> str:
    """The first of the names of what a preset is, or the name itself.

    Example:

    >>> from cmml_tf.settings.scenario.systems import SCENARIO_SYSTEMS
    >>> first_name(SCENARIO_SYSTEMS, "se-dot")
    'cmml-linear'
    """
    model = systems[name].model if name in systems else None
    if model is None:
        return name
    return next(key for key, system in systems.items() if system.model == model)


def within_steps(training: TrainingConfig, steps: int | None) -> TrainingConfig:
    """The schedule cut to at most `steps` training steps, in epochs of equal length.

    Example:

    >>> short = within_steps(TrainingConfig(), 500)
    >>> short.max_epochs, short.steps_per_epoch
    (3, 166)
    """
    if steps is None or steps >= training.max_epochs * training.steps_per_epoch:
        return training
    epochs = -(-steps // training.steps_per_epoch)
    return replace(training, max_epochs=epochs, steps_per_epoch=steps // epochs)
