"""The experiments: which cells each of them has. Planted scenarios, small budgets, one seed.

Every question is asked of the same small task (a hidden direction, 40 meta-training scenarios of 60
items and 200 users, 200 steps) with one thing changed at a time.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cmml_tf.config import (
    EpisodeConfig,
    ModelConfig,
    ScenarioRunConfig,
    SplitConfig,
    TrainingConfig,
)
from cmml_tf.experiments.adaptation.cell import Cell
from cmml_tf.models.presets.scenario import PRESETS

_STEPS, _EPOCHS = 100, 2
_TASKS = 8

# The paper's encoder and modulation, smaller; and the same with what makes it adapt.
_GRU = ModelConfig(encoder_units=64)
_MEAN = ModelConfig(encoder="mean", encoder_units=64)
_MEAN_PLUS = replace(_MEAN, residual_scale=True, affinity=True)
_RIDGE = PRESETS["cmml-ridge"].model
_ADAPTING = {"mean, FiLM with 1 + s": _MEAN_PLUS, "closed form": _RIDGE}


def experiments(seed: int) -> dict[str, list[Cell]]:
    """Every experiment's cells by its name."""
    return {name: make(seed) for name, make in _EXPERIMENTS.items()}


def _config(
    seed: int, model: ModelConfig, rate: float = 3e-3, tasks: int = _TASKS, **planted: Any
) -> ScenarioRunConfig:
    options = {"subspace": 1, "meta_train": 40, "users_per_scenario": 200, **planted}
    data = "planted:" + ",".join(f"{name}={value}" for name, value in options.items())
    return ScenarioRunConfig(
        data=data,
        preset="experiment",
        seed=seed,
        # No scenario is spent on validation: every cell takes all its steps.
        split=SplitConfig(validation_fraction=0.0),
        model=model,
        episode=EpisodeConfig(tasks_per_step=tasks),
        training=TrainingConfig(
            learning_rate=rate, weight_average=0.98, steps_per_epoch=_STEPS, max_epochs=_EPOCHS
        ),
    )


def _sequence(seed: int) -> list[Cell]:
    """Order of the support sequence, and what is read of the GRU."""
    cells = []
    for order in ("given", "interleaved"):
        for state in ("last", "mean"):
            model = replace(
                _GRU, support_order=order, gru_state=state, residual_scale=True, affinity=True
            )
            cells.append(Cell(f"{order}, {state}", order, _config(seed, model), sensitivity=True))
    paper = _config(seed, _GRU)
    return [Cell("the paper's FiLM", "given", paper, sensitivity=True), *cells]


def _modulation(seed: int) -> list[Cell]:
    """Scale s or 1 + s, by learning rate."""
    return [
        Cell(f"{series}", rate, _config(seed, replace(_MEAN, residual_scale=residual), rate))
        for series, residual in (("FiLM with s", False), ("FiLM with 1 + s", True))
        for rate in (1e-4, 1e-3, 3e-3)
    ]


def _tasks_per_step(seed: int) -> list[Cell]:
    return [
        Cell(series, tasks, _config(seed, replace(_MEAN, residual_scale=residual), 3e-3, tasks))
        for series, residual in (("FiLM with s", False), ("FiLM with 1 + s", True))
        for tasks in (1, 4, 16)
    ]


def _embedding_scale(seed: int) -> list[Cell]:
    """The product C * e shrinks with the embeddings; the task itself does not change."""
    hybrids = {
        "C * e (dot)": replace(_MEAN, residual_scale=True),
        "C * e, times 4": replace(_MEAN, residual_scale=True, hybrid_scale=4.0),
        "C (none)": replace(_MEAN, residual_scale=True, hybrid="none"),
    }
    return [
        Cell(series, std, _config(seed, model, std=std))
        for series, model in hybrids.items()
        for std in (0.05, 0.25, 1.0)
    ]


def _hidden_dimension(seed: int) -> list[Cell]:
    return [
        Cell(series, subspace, _config(seed, model, subspace=subspace))
        for series, model in _ADAPTING.items()
        for subspace in (1, 2, 3, 8)
    ]


def _scenarios(seed: int) -> list[Cell]:
    return [
        Cell(series, count, _config(seed, model, subspace=3, meta_train=count))
        for series, model in _ADAPTING.items()
        for count in (10, 40, 500)
    ]


def _label_noise(seed: int) -> list[Cell]:
    return [
        Cell(series, noise, _config(seed, model, subspace=3, label_noise=noise))
        for series, model in _ADAPTING.items()
        for noise in (0.0, 0.15, 0.3)
    ]


def _support_pairs(seed: int) -> list[Cell]:
    sizes = (4, 16, 64, 256, 512)
    cells = []
    for series, model in _ADAPTING.items():
        config = _config(seed, model, subspace=3)
        short = replace(config, episode=replace(config.episode, short_supports=0.5))
        cells.append(Cell(series, None, config, sizes))
        cells.append(Cell(f"{series}, short supports in training", None, short, sizes))
    return cells


def _regularisation(seed: int) -> list[Cell]:
    """Few scenarios to learn from, and one option at a time against learning them by heart."""
    cells = []
    for series, model in _ADAPTING.items():
        base = _config(seed, model, subspace=3, meta_train=10)
        episodes = {
            "empty supports": {"empty_supports": 0.2},
            "short supports": {"short_supports": 0.5},
            "sub-scenarios": {"sub_scenarios": 4},
        }
        options = {
            "none": base,
            "weight decay": replace(base, training=replace(base.training, weight_decay=1e-3)),
            **{
                name: replace(base, episode=replace(base.episode, **option))
                for name, option in episodes.items()
            },
            "early stopping": replace(
                base,
                split=SplitConfig(validation_fraction=0.3),
                training=replace(
                    base.training,
                    steps_per_epoch=_STEPS // 5,
                    max_epochs=5 * _EPOCHS,
                    early_stopping_patience=2,
                ),
            ),
        }
        if model.dropout > 0:
            options["no dropout"] = replace(base, model=replace(model, dropout=0.0))
        cells += [Cell(series, name, config) for name, config in options.items()]
    return cells


_EXPERIMENTS: dict[str, Callable[[int], list[Cell]]] = {
    "sequence": _sequence,
    "modulation": _modulation,
    "tasks-per-step": _tasks_per_step,
    "embedding-scale": _embedding_scale,
    "hidden-dimension": _hidden_dimension,
    "scenarios": _scenarios,
    "label-noise": _label_noise,
    "support-pairs": _support_pairs,
    "regularisation": _regularisation,
}
EXPERIMENTS = tuple(_EXPERIMENTS)
"""Names of the experiments."""
