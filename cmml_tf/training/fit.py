"""Meta-training of a scenario model (algorithm 1), resumable at every epoch."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from cmml_tf.config import EpisodeConfig, TrainingConfig
from cmml_tf.datasets.scenario_data import ScenarioData
from cmml_tf.episodes.training_episodes import training_episodes
from cmml_tf.models.episode_model import EpisodeModel
from cmml_tf.training.checkpoint import TrainingState, restore_best_weights
from cmml_tf.training.history_log import HistoryLog
from cmml_tf.training.optimizer import AdamL2
from cmml_tf.training.time_limit import TimeLimit
from cmml_tf.training.validation import MONITOR, Validation
from cmml_tf.training.weight_average import WeightAverage

Episodes = Callable[[ScenarioData, EpisodeConfig, int, int], tf.data.Dataset]
"""What makes training tasks of scenarios."""


class TrainingResult(NamedTuple):
    """How a training went.

    Attributes:
      history: One entry an epoch: loss, learning rate `lr`, validation metrics.
      resumed_from: Epochs that an earlier process had done.
    """

    history: list[dict[str, float]]
    resumed_from: int


def fit_scenario_model(
    model: EpisodeModel,
    data: ScenarioData,
    validate: Callable[[], dict[str, float]] | None,
    episode: EpisodeConfig,
    training: TrainingConfig,
    seed: int,
    folder: Path,
    max_minutes: float | None = None,
    verbose: int = 1,
    episodes: Episodes = training_episodes,
) -> TrainingResult:
    """Trains `model` and leaves it with the weights of its best epoch.

    Early stopping, the learning rate and the choice of the best epoch look at validation Recall@20
    alone; without validation scenarios all epochs run and the last weights stay.

    Args:
      model: Built with a task; compiled here.
      data: Its meta-training scenarios are learned from.
      validate: Gives the metrics of `model`, as it is, on the validation scenarios.
      episode: Sizes of a task and of a step.
      training: Optimiser, schedule, stopping rule.
      seed: With the step number, fixes the tasks.
      folder: Checkpoints, logs and TensorBoard events; an unfinished training in it is resumed.
      max_minutes: Stops after this wall-clock time.
      verbose: Keras' progress: 0 silent, 1 a bar, 2 a line an epoch.
      episodes: (data, episode, seed, first step) to the tasks from that step on.
    """
    return fit_model(
        model,
        lambda step: episodes(data, episode, seed, step),
        validate,
        MONITOR,
        training,
        folder,
        max_minutes,
        verbose,
    )


def fit_model(
    model: EpisodeModel,
    episodes: Callable[[int], tf.data.Dataset],
    validate: Callable[[], dict[str, float]] | None,
    watched: str,
    training: TrainingConfig,
    folder: Path,
    max_minutes: float | None = None,
    verbose: int = 1,
) -> TrainingResult:
    """Trains `model` on any endless dataset of tasks and leaves it with its best epoch's weights.

    Args:
      model: Built with a task; compiled here.
      episodes: The tasks from a step on, one training step an element.
      validate: Gives the metrics of `model`, as it is, on the validation tasks; None: all epochs
        run and the last weights stay.
      watched: `val_` and the metric that decides, higher is better.
      training: Optimiser, schedule, stopping rule.
      folder: Checkpoints, logs and TensorBoard events; an unfinished training in it is resumed.
      max_minutes: Stops after this wall-clock time.
      verbose: Keras' progress: 0 silent, 1 a bar, 2 a line an epoch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.compile(optimizer=AdamL2(training.learning_rate, training.weight_decay))
    callbacks: list[tf.keras.callbacks.Callback] = []
    remembered: list[tf.keras.callbacks.Callback] = []
    average = None
    if training.weight_average > 0:
        average = WeightAverage(model, training.weight_average)
        callbacks.append(average)
    if validate is not None:
        callbacks.append(Validation(validate, average))
        remembered = [
            tf.keras.callbacks.ReduceLROnPlateau(
                monitor=watched,
                mode="max",
                factor=training.plateau_factor,
                patience=training.plateau_patience,
                min_delta=0.0,
                min_lr=training.min_learning_rate,
            ),
            tf.keras.callbacks.EarlyStopping(
                monitor=watched, mode="max", patience=training.early_stopping_patience
            ),
        ]
    if max_minutes is not None:
        callbacks.append(TimeLimit(max_minutes))
    monitor = None if validate is None else watched
    state = TrainingState(model, folder / "checkpoints", monitor, remembered, average)
    done = state.resume()
    callbacks += [
        *remembered,
        state,
        HistoryLog(lambda: state.history, folder),
        tf.keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False),
    ]
    if done < training.max_epochs and not _stopped_early(remembered):
        model.fit(
            episodes(done * training.steps_per_epoch),
            steps_per_epoch=training.steps_per_epoch,
            initial_epoch=done,
            epochs=training.max_epochs,
            callbacks=callbacks,
            verbose=verbose,
        )
    restore_best_weights(model, folder / "checkpoints")
    return TrainingResult(state.history, done)


def _stopped_early(callbacks: list[tf.keras.callbacks.Callback]) -> bool:
    return any(getattr(callback, "stopped_epoch", 0) > 0 for callback in callbacks)
