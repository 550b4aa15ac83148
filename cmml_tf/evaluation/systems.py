"""The systems that can be compared, by name: label, training schedule. No TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cmml_tf.baselines.rating_presets import RATING_BASELINES
from cmml_tf.config import SCHEDULES, EpisodeConfig, RankingLoss, TrainingConfig
from cmml_tf.models.presets import MODEL_PRESETS, preset_schedule
from cmml_tf.models.rating_presets import RATING_PRESETS


@dataclass(frozen=True)
class System:
    """One row of a comparison.

    Attributes:
      label: How tables spell it.
      training: Its schedule; None: nothing is trained.
      tasks_per_step: Tasks B of one of its training steps.
      query_positives: Positive query pairs of one of its training tasks (scenario setting).
      loss: What is minimised over them (scenario setting).
      trained_as: The system whose trained weights it uses; None: its own.
    """

    label: str
    training: TrainingConfig | None = None
    tasks_per_step: int = 1
    query_positives: int = EpisodeConfig.query_positives
    loss: RankingLoss = EpisodeConfig.loss
    trained_as: str | None = None


def _preset(label: str, schedule: str = "default") -> System:
    chosen = SCHEDULES[schedule]
    return System(
        label, chosen.training, chosen.tasks_per_step, chosen.query_positives, chosen.loss
    )


_PRESET_LABELS = {
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

_RATING_BASELINE_LABELS = {
    "melu": "MeLU",
    "metacs-dnn": "MetaCS-DNN",
    "dcn": "DCN",
    "dcn-f": "DCN-F",
}

SCENARIO_SYSTEMS: dict[str, System] = {
    "item-pop": System("ItemPop"),
    **{
        name: _preset(_PRESET_LABELS.get(name, name), preset_schedule(name))
        for name in MODEL_PRESETS
    },
    "dcn": _preset("DCN"),
    "dcn-f": replace(_preset("DCN-F"), trained_as="dcn"),
    "conet": _preset("CoNet"),
    # Gradients through an inner loop are clipped where its authors clip them.
    "s2meta": replace(
        _preset("s2Meta"), training=replace(SCHEDULES["default"].training, gradient_clip=0.25)
    ),
}
"""Systems of the scenario setting."""

RATING_SYSTEMS: dict[str, System] = {
    "global-mean": System("global mean"),
    "user-mean": System("user mean"),
    "item-mean": System("item mean + user bias"),
    **{
        name: System(
            {"ridge": "ridge", **_PRESET_LABELS}.get(name, name),
            preset.training,
            preset.episode.tasks_per_step,
        )
        for name, preset in RATING_PRESETS.items()
    },
    **{
        name: System(
            label,
            RATING_BASELINES[name].training,
            RATING_BASELINES[name].episode.tasks_per_step,
            trained_as=RATING_BASELINES[name].trained_as,
        )
        for name, label in _RATING_BASELINE_LABELS.items()
    },
}
"""Systems of the user setting."""


def systems_of(setting: str) -> Mapping[str, System]:
    """The systems of `scenario` or `user`."""
    return SCENARIO_SYSTEMS if setting == "scenario" else RATING_SYSTEMS


def system_names(setting: str, names: str) -> tuple[str, ...]:
    """The systems of a list such as `item-pop,CMML_FiLM`, each once, in order.

    Presets that are one model under several names of the paper (`linear` and `se-dot` are
    `cmml-linear`) become the first of these names, so that nothing is trained twice.

    Raises:
      ValueError: No system has such a name; the message lists them.

    Example:

    >>> system_names("scenario", "ItemPop, se-dot, linear")
    ('item-pop', 'cmml-linear')
    """
    systems = systems_of(setting)
    spelled = {name.replace("-", ""): name for name in systems}
    found = []
    for part in names.split(","):
        key = spelled.get(part.strip().lower().replace("_", "").replace("-", ""))
        if key is None:
            raise ValueError(
                f"`systems` must be names out of {', '.join(systems)}. "
                f"Received: {part.strip()!r}, setting={setting}."
            )
        found.append(first_name(setting, key))
    return tuple(dict.fromkeys(found))


def first_name(setting: str, name: str) -> str:
    """The first of the names of what a preset is, or the name itself.

    Example:

    >>> first_name("scenario", "se-dot")
    'cmml-linear'
    """
    if setting != "scenario" or name not in MODEL_PRESETS:
        return name
    return next(key for key, model in MODEL_PRESETS.items() if model == MODEL_PRESETS[name])


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
