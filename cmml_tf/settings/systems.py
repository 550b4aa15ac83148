"""Systems that can be compared: by name, with label and recipe. No TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cmml_tf.config import TrainingConfig


@dataclass(frozen=True)
class Recipe:
    """How a model is made and trained.

    Attributes:
      model: Its configuration, a preset's or a baseline's.
      episode: How its training tasks are drawn, and what is minimised over them.
      training: Its schedule.
      seed: Fixes its first weights and, with the step number, the tasks.
    """

    model: Any
    episode: Any
    training: TrainingConfig
    seed: int


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

    def recipe(self, seed: int) -> Recipe:
        """How a system that is trained is made.

        Raises:
          ValueError: Nothing of it is trained.
        """
        if self.training is None:
            raise ValueError(f"`systems` must be trained ones here. Received: {self.label}.")
        return Recipe(self.model or self.baseline, self.episode, self.training, seed)


def simple_systems(labels: Mapping[str, str]) -> dict[str, System]:
    """Systems without a model, as comparisons name them.

    Args:
      labels: How tables spell them, by their name in `metrics.json`.
    """
    return {
        name.replace("_", "-"): System(label) for name, label in labels.items() if name != "chance"
    }


def system_names(systems: Mapping[str, System], names: str) -> tuple[str, ...]:
    """The systems of a list such as `item-pop,CMML_FiLM`, each once, in order.

    Presets that are one model under several names of the paper (`linear` and `se-dot` are
    `cmml-linear`) become the first of these names, so that nothing is trained twice.

    Raises:
      ValueError: No system has such a name; the message lists them.

    Example:

    >>> film, same = System("FiLM", model="film"), System("F-LM", model="film")
    >>> system_names({"item-pop": System("ItemPop"), "film": film, "f-lm": same}, "ItemPop, F_LM")
    ('item-pop', 'film')
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
    """The first of the names of what a preset is, or the name itself."""
    model = systems[name].model if name in systems else None
    if model is None:
        return name
    return next(key for key, system in systems.items() if system.model == model)


def for_tasks(training: TrainingConfig, tasks: int) -> TrainingConfig:
    """The schedule cut to its steps for each of so many tasks; of none, as it is.

    Example:

    >>> few = for_tasks(TrainingConfig(steps_per_task=20), 6)
    >>> few.max_epochs, few.steps_per_epoch
    (1, 120)
    """
    if training.steps_per_task is None or not tasks:
        return training
    return within_steps(training, training.steps_per_task * tasks)


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
