"""A running average of the weights, which is evaluated and kept instead of the last step's."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf


class WeightAverage:
    """Exponential average of the trainable weights over training steps (Polyak averaging).

    Few meta-training scenarios make the last weights a noisy choice; their average ranks unseen
    scenarios better and makes validation, and so every decision that looks at it, steadier. At step
    t the momentum is min(momentum, (1 + t) / (10 + t)), so the first weights are soon forgotten.

    Args:
      model: Its trainable variables are averaged; they must exist.
      momentum: Below 1; 0 follows the weights exactly.
      steps_before: Steps that the average has behind it, whose momentum it goes on with.

    Attributes:
      variables: The averages and the step count, for checkpoints.
    """

    def __init__(self, model: tf.keras.Model, momentum: float, steps_before: int = 0) -> None:
        self._weights = list(model.trainable_variables)
        self._averages = [tf.Variable(weight, trainable=False) for weight in self._weights]
        self._steps_before = float(steps_before)
        self._step = tf.Variable(self._steps_before, trainable=False)
        self._momentum = momentum
        self.variables = [*self._averages, self._step]

    def begin(self) -> None:
        """Takes the weights as they are for the first ones."""
        self._step.assign(self._steps_before)
        for weight, average in zip(self._weights, self._averages, strict=True):
            average.assign(weight)

    def update(self) -> None:
        """Takes the weights of one more step; within the step, of which replicas do it together."""
        tf.distribute.get_replica_context().merge_call(self._update)

    def _update(self, strategy: tf.distribute.Strategy) -> None:
        del strategy
        self._step.assign_add(1.0)
        momentum = tf.minimum(self._momentum, (1.0 + self._step) / (10.0 + self._step))
        for weight, average in zip(self._weights, self._averages, strict=True):
            average.assign_add((1.0 - momentum) * (weight - average))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the context the model has the averaged weights; behind it, its own again."""
        own = [weight.numpy() for weight in self._weights]
        for weight, average in zip(self._weights, self._averages, strict=True):
            weight.assign(average)
        try:
            yield
        finally:
            for weight, value in zip(self._weights, own, strict=True):
                weight.assign(value)
