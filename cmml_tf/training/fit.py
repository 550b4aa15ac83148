"""Meta-training of a model (algorithm 1), resumable at every epoch."""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.config import TrainingConfig, check_strategy
from cmml_tf.files import make_folder
from cmml_tf.models.episode_model import EpisodeModel
from cmml_tf.training.checkpoint import TrainingState, restore_best_weights
from cmml_tf.training.event_files import EventFiles
from cmml_tf.training.finite_loss import FiniteLoss, FiniteStepLoss
from cmml_tf.training.history_log import HistoryLog
from cmml_tf.training.optimizer import AdamL2
from cmml_tf.training.strategies import (
    agreed,
    distributed_episodes,
    is_chief,
    is_multiworker,
    is_parameter_server,
    lost_workers_named,
    wait_for_all,
)
from cmml_tf.training.time_limit import EpochTimeLimit, TimeLimit
from cmml_tf.training.validation import Validation
from cmml_tf.training.weight_average import WeightAverage

# Around each call of the graph some milliseconds pass; a time limit is looked at between calls.
_MOST_STEPS = 10
# Steps from which on it pays to rewrite a graph before it is run: that takes a second, and makes a
# step a twentieth cheaper.
_SHORT = 100


class CompiledModel(NamedTuple):
    """A model with all that the graph of its training step writes to.

    Attributes:
      model: Compiled.
      average: Of its weights; None: there is none.
      steps: Training steps of one call of the graph.
      first: The trainable weights when it was compiled; where a strategy shares steps, nothing.
    """

    model: EpisodeModel
    average: WeightAverage | None
    steps: int
    first: list[np.ndarray]

    @classmethod
    def of(
        cls, model: EpisodeModel, training: TrainingConfig, steps_before: int = 0
    ) -> "CompiledModel":
        """Compiles a model in the scope of its strategy.

        Args:
          model: Built with a task.
          training: Says with which optimiser, and how much earlier weights count in the average.
          steps_before: Steps that the model's weights have behind them; their average goes on.
        """
        steps = _steps_per_call(model.distribute_strategy, training)
        decays = {variable.name: model.decay_of(variable) for variable in model.trainable_variables}
        model.compile(
            optimizer=AdamL2(training.learning_rate, training.weight_decay, decays=decays),
            steps_per_execution=steps,
        )
        model.optimizer.create_variables(model.trainable_variables)
        average = None
        if training.weight_average > 0:
            average = WeightAverage(model, training.weight_average, steps_before)
        model.after_step = None if average is None else average.update
        own = [] if tf.distribute.has_strategy() else model.trainable_variables
        first = [variable.numpy() for variable in own]
        return cls(model, average, steps, first)

    def take_first_weights(self) -> None:
        """Sets the weights to what they were before the first training."""
        for variable, value in zip(self.model.trainable_variables, self.first, strict=True):
            variable.assign(value)

    def begin(self, learning_rate: float) -> None:
        """Forgets all of an earlier training but the weights."""
        self.model.optimizer.forget()
        self.model.optimizer.learning_rate = learning_rate
        if self.average is not None:
            self.average.begin()


class TrainingResult(NamedTuple):
    """How a training went.

    Attributes:
      history: One entry an epoch: loss, learning rate `lr`, validation metrics.
      resumed_from: Epochs that an earlier process had done.
      compiled: The model, whose next training need not trace its step again.
    """

    history: list[dict[str, float]]
    resumed_from: int
    compiled: CompiledModel


def fit_model(
    model: EpisodeModel,
    episodes: Callable[[int | tf.Tensor], tf.data.Dataset],
    validate: Callable[[], dict[str, float]] | None,
    watched: str,
    training: TrainingConfig,
    folder: Path,
    max_minutes: float | None = None,
    verbose: int = 1,
    learning_rates: Sequence[float] | None = None,
    steps_before: int = 0,
    compiled: CompiledModel | None = None,
) -> TrainingResult:
    """Trains `model` on any endless dataset of tasks and leaves it with its best epoch's weights.

    A model that was built in the scope of a `tf.distribute` strategy is trained with it, see
    `strategies`. Of several processes each calls this; the chief alone writes into `folder`, and
    all of them read it to resume.

    Args:
      model: Built with a task; compiled here, unless it is already.
      episodes: The tasks from a step on, one training step an element.
      validate: Gives the metrics of `model`, as it is, on the validation tasks; None: all epochs
        run and the last weights stay.
      watched: `val_` and the metric that decides, higher is better.
      training: Optimiser, schedule, stopping rule.
      folder: Checkpoints, logs and TensorBoard events; an unfinished training in it is resumed.
      max_minutes: Stops after this wall-clock time.
      verbose: Keras' progress: 0 silent, 1 a bar, 2 a line an epoch.
      learning_rates: One an epoch, where no validation lowers it; None: it stays the first.
      steps_before: As of `CompiledModel.of`.
      compiled: What an earlier training of this very model has given, by the same optimiser: the
        graph of a step is then there. The model is trained from the weights that it has now.

    Raises:
      ValueError: The tasks of a step cannot be divided among the replicas; weights are to be
        averaged where no process sees each step; the loss is no finite number; a checkpoint is
        damaged.
      OSError: The disk refuses.
      ConnectionError: Another process of the training is gone.
    """
    strategy = model.distribute_strategy
    if is_parameter_server(strategy):
        check_strategy("parameter-server", training)
    make_folder(folder)
    with (
        tempfile.TemporaryDirectory() as scratch,
        lost_workers_named(strategy),
        strategy.scope(),
    ):
        save_to = folder if is_chief(strategy) else Path(scratch)
        if compiled is None:
            compiled = CompiledModel.of(model, training, steps_before)
        else:
            compiled.begin(training.learning_rate)
        average = compiled.average
        callbacks: list[tf.keras.callbacks.Callback] = [
            FiniteLoss() if is_parameter_server(strategy) else FiniteStepLoss(compiled.steps)
        ]
        remembered: list[tf.keras.callbacks.Callback] = []
        if validate is not None:
            callbacks.append(Validation(lambda: agreed(strategy, validate()), average))
            remembered = _decisions(training, watched)
        if learning_rates is not None:
            rates = list(learning_rates)
            callbacks.append(tf.keras.callbacks.LearningRateScheduler(rates.__getitem__))
        if max_minutes is not None:
            callbacks.append(_time_limit(strategy, max_minutes))
        monitor = None if validate is None else watched
        checkpoints = folder / "checkpoints"
        state = TrainingState(
            model, checkpoints, monitor, remembered, average, save_to / "checkpoints"
        )
        done = state.resume()
        callbacks += [*remembered, state, HistoryLog(lambda: state.history, save_to)]
        if save_to == folder:
            callbacks.append(EventFiles(folder / "tensorboard"))
        if done < training.max_epochs and not _stopped_early(remembered):
            with _steps_rewritten(training.max_epochs * training.steps_per_epoch >= _SHORT):
                model.fit(
                    distributed_episodes(strategy, episodes, done * training.steps_per_epoch),
                    steps_per_epoch=training.steps_per_epoch,
                    initial_epoch=done,
                    epochs=training.max_epochs,
                    callbacks=callbacks,
                    verbose=verbose if save_to == folder else 0,
                )
        wait_for_all(strategy)  # until the chief has saved the last epoch
        restore_best_weights(model, checkpoints)
    return TrainingResult(state.history, done, compiled)


def _decisions(training: TrainingConfig, watched: str) -> list[tf.keras.callbacks.Callback]:
    """What looks at the validation metric: the learning rate and the end."""
    return [
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


def _steps_per_call(strategy: tf.distribute.Strategy, training: TrainingConfig) -> int:
    """Steps of one call of the graph, all alike; workers that take steps on their own get one."""
    return 1 if is_parameter_server(strategy) else math.gcd(training.steps_per_epoch, _MOST_STEPS)


@contextmanager
def _steps_rewritten(wanted: bool) -> Iterator[None]:
    """Says of graphs that are first run in this context whether they are rewritten for speed.

    In no case so that sums become one of many terms, whose order is left to chance (see
    `EpisodeModel`): that is part of what TensorFlow calls arithmetic.
    """
    options = {"disable_meta_optimizer": not wanted or None, "arithmetic_optimization": False}
    # None as if it had never been set: an export made later holds what is.
    found = tf.config.optimizer.get_experimental_options()
    before = {name: found.get(name) for name in options}
    before["disable_meta_optimizer"] = before["disable_meta_optimizer"] or None
    tf.config.optimizer.set_experimental_options(options)
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options(before)


def _time_limit(strategy: tf.distribute.Strategy, minutes: float) -> tf.keras.callbacks.Callback:
    if is_multiworker(strategy) or is_parameter_server(strategy):
        return EpochTimeLimit(minutes, lambda values: agreed(strategy, values))
    return TimeLimit(minutes)


def _stopped_early(callbacks: list[tf.keras.callbacks.Callback]) -> bool:
    return any(getattr(callback, "stopped_epoch", 0) > 0 for callback in callbacks)
