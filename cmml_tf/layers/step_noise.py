"""Noise in training whose numbers are a function of (seed, step), so that no state is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

_LARGEST_SEED = 2**31 - 1
_REPLICAS = 1024
_step: ContextVar[tf.Tensor | tf.Variable | int] = ContextVar("training_step", default=0)


@contextmanager
def training_step(step: tf.Tensor | tf.Variable | int) -> Iterator[None]:
    """Within the context, layers that draw at random do so for this step.

    The number reaches them as Keras' `training` does: around the call, not as a part of it.

    Args:
      step: Integer scalar, from 0, such as the optimizer's `iterations`.
    """
    token = _step.set(step)
    try:
        yield
    finally:
        _step.reset(token)


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class StepDropout(tf.keras.layers.Layer):
    """Leaves out a share of its inputs in training and scales the others up, as dropout does.

    `tf.nn.dropout` and Keras' `Dropout` draw from a state that grows with each call and that no
    checkpoint holds, so a training that was killed would go on with other numbers. Here the mask is
    a function of the seed, of the step that `training_step` names (0 outside of it), and of which
    call within a step it is.

    Args:
      rate: Share of the inputs that is left out.
      seed: Of the training.

    Raises:
      ValueError: `rate` is not in [0, 1), or `seed` is negative.

    Example:

    >>> layer, ones = StepDropout(0.5, seed=1), tf.ones([2, 3])
    >>> with training_step(7):
    ...     first, again = layer(ones, training=True), layer(ones, training=True)
    >>> bool(tf.reduce_all(first == again))
    True
    """

    def __init__(self, rate: float, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` must be at least 0 and below 1. Received: rate={rate}.")
        self.rate = rate
        self.seed = _checked(seed)
        self.supports_masking = True

    def call(self, inputs: tf.Tensor, use: int = 0, training: bool | None = None) -> tf.Tensor:
        """The inputs, in training with some of them zero.

        Args:
          inputs: Floats of any shape.
          use: Which call within a training step this is; each has numbers of its own.
          training: Whether to leave any out.
        """
        if not training or self.rate == 0:
            return inputs
        key = _key(self.seed, use)
        return tf.nn.experimental.stateless_dropout(inputs, self.rate, key, rng_alg="philox")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class StepNoise(tf.keras.layers.Layer):
    """Adds normal deviates to the leading columns of its inputs in training.

    What a table says of a row is an estimate. Where a network sees it exact, it learns the rows of
    its training scenarios by heart. The numbers are drawn as those of `StepDropout`.

    Args:
      deviation: Standard deviation of what is added.
      columns: How many columns of the last axis get it.
      use: Which use of random numbers within a training step this is.
      seed: Of the training.

    Raises:
      ValueError: `deviation` or `seed` is negative.

    Example:

    >>> layer = StepNoise(0.2, columns=1)
    >>> moved = layer(tf.ones([1, 3]), training=True) - 1.0
    >>> bool(moved[0, 0] != 0), moved[0, 1:].numpy().tolist()
    (True, [0.0, 0.0])
    """

    def __init__(
        self, deviation: float, columns: int, use: int = 0, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= deviation < float("inf"):
            raise ValueError(
                f"`deviation` must be zero or a positive number. Received: deviation={deviation}."
            )
        self.deviation = deviation
        self.columns = columns
        self.use = use
        self.seed = _checked(seed)
        self.supports_masking = True

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """The inputs, floats [..., n] with n at least `columns`; in training with noise.

        Args:
          inputs: Rows.
          training: Whether to add any.
        """
        if not training or self.deviation == 0:
            return inputs
        shape = tf.concat([tf.shape(inputs)[:-1], [self.columns]], axis=0)
        key = _key(self.seed, self.use)
        noise = tf.random.stateless_normal(
            shape, key, stddev=self.deviation, dtype=inputs.dtype, alg="philox"
        )
        others = inputs.shape[-1] - self.columns
        return inputs + tf.pad(noise, [*[[0, 0]] * (inputs.shape.rank - 1), [0, others]])

    def get_config(self) -> dict[str, Any]:
        names = ("deviation", "columns", "use", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _checked(seed: int) -> int:
    if seed < 0:
        raise ValueError(f"`seed` must be zero or a positive integer. Received: seed={seed}.")
    return seed


def _key(seed: int, use: int) -> tf.Tensor:
    # int32: XLA has no other keys. The replicas of a step have different tasks.
    key = tf.stack([seed % _LARGEST_SEED, tf.cast(_step.get(), tf.int32)])
    return tf.random.fold_in(key, use * _REPLICAS + _replica(), alg="philox")


def _replica() -> tf.Tensor | int:
    """The number of this replica among those that share a step."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group
