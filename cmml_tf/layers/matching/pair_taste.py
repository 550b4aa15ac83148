"""What a user likes of items in general, beyond the product of their factors."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.flat_pairs import on_flat_pairs
from cmml_tf.layers.matching.query_pairs import widened
from cmml_tf.layers.mlp import MLP
from cmml_tf.layers.step_noise import StepDropout


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class PairTaste(tf.keras.layers.Layer):
    """MLP(u, v, u * v) of a user's and an item's factor; 0 at first.

    Args:
      units: Of both hidden layers.
      dropout: Share of its inputs left out in training: without, it learns the users of the
        training scenarios by heart.
      seed: With the training step, fixes which ones.
    """

    def __init__(self, units: int = 64, dropout: float = 0.4, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.hidden = MLP([units, units], name="hidden")
        self.score = tf.keras.layers.Dense(
            1, use_bias=False, kernel_initializer="zeros", name="score"
        )
        self.dropout = StepDropout(dropout, seed)

    def build(self, input_shape: Any) -> None:
        """`input_shape`: of a factor."""
        build_named(self.hidden, [None, None, 3 * int(input_shape[-1])])
        build_named(self.score, [None, None, self.units])
        super().build(input_shape)

    def call(self, user: tf.Tensor, item: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """float32 [B, N, d] each -> float32 [B, N, 1]; they may broadcast (`query_pairs`)."""
        both = user * item
        if not training and user.shape.rank == 4:
            return self.hidden.of_parts([user, item, both], self._scored)
        # In training each pair has inputs of its own left out.
        pair = tf.concat([widened(user, both), widened(item, both), both], axis=-1)
        pair = self.dropout(pair, training=training)
        return on_flat_pairs(lambda rows: self._scored(self.hidden(rows)), pair)

    def _scored(self, hidden: tf.Tensor) -> tf.Tensor:
        return self.score(tf.nn.relu(hidden))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "dropout": self.dropout.rate,
            "seed": self.dropout.seed,
        }
