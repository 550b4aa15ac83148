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
        if not training and user.shape.rank == 4 and user.shape[1] == user.shape[2] == 1:
            return self._of_one_user(user, item)
        both = user * item
        if not training and user.shape.rank == 4:
            return self.hidden.of_parts([user, item, both], self._scored)
        # In training each pair has inputs of its own left out.
        pair = tf.concat([widened(user, both), widened(item, both), both], axis=-1)
        pair = self.dropout(pair, training=training)
        return on_flat_pairs(lambda rows: self._scored(self.hidden(rows)), pair)

    def _of_one_user(self, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Of one user a task, [B, 1, 1, d]: a matrix of the task is all that items meet."""
        first, *_ = self.hidden.dense_layers
        of_user, of_item, of_both = tf.split(first.kernel, 3, axis=0)
        constant = tf.matmul(user[:, 0, 0], of_user) + first.bias
        matrix = of_item + tf.reshape(user, [-1, user.shape[-1], 1]) * of_both  # [B, d, units]
        hidden = tf.matmul(item[:, 0], matrix) + constant[:, None]
        return self.hidden.of_first(hidden, self._scored)[:, None]

    def _scored(self, hidden: tf.Tensor) -> tf.Tensor:
        return self.score(tf.nn.relu(hidden))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "dropout": self.dropout.rate,
            "seed": self.dropout.seed,
        }
