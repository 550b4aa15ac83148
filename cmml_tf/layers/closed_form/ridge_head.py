"""A closed-form head beside a modulated backbone: what is left over is solved, not learned.

Not in the paper. A modulation network learns how scenarios differ from the meta-training scenarios
alone; a ridge regression of the support labels, solved in the forward pass (as in Bertinetto et al.
2019, "Meta-learning with differentiable closed-form solvers"), follows a scenario of any kind as
far as its features can tell. Training goes through the solution.
"""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.closed_form.binary_labels import add_label_numbers, binary_targets
from cmml_tf.layers.closed_form.ridge import solve_ridge
from cmml_tf.layers.learned_number import REACH, learned_number
from cmml_tf.layers.sizes import positive


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RidgeHead(tf.keras.layers.Layer):
    """score = base + g <x, w>, w = argmin sum_i c_i (t_i - <x_i, w>)^2 + p |w|^2 over the support.

    base is the score of the modulated backbone. x = [1, P f] for what `inputs` says f is; t is 1
    for a positive and -n for a negative support pair, less m times the pair's base; c is 1 for a
    positive and q for a negative; g, n, m, q, p and the projection P are learned.

    Args:
      input_dimension: Width of f.
      features: Columns of P.
      inputs: f: the `item` embedding (the last values of the pair embedding), the `pair`
        embedding, or the backbone's last `hidden` layer.

    Raises:
      ValueError: A size is below 1, or `inputs` is none of these.

    Example:

    >>> head = RidgeHead(input_dimension=4, features=3, inputs="pair")
    >>> pairs, hidden, base = tf.ones([2, 5, 4]), tf.ones([2, 5, 8]), tf.ones([2, 5])
    >>> solved = head.solve(pairs, hidden, base, tf.ones([2, 5]), tf.ones([2, 5], tf.bool))
    >>> head(pairs, hidden, base, solved).shape.as_list()
    [2, 5]
    """

    def __init__(
        self, input_dimension: int, features: int = 64, inputs: str = "item", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        positive(input_dimension=input_dimension, features=features)
        if inputs not in ("item", "pair", "hidden"):
            raise ValueError(f"`inputs` must be item, pair or hidden. Received: inputs={inputs!r}.")
        self.input_dimension = input_dimension
        self.features = features
        self.inputs = inputs
        self.solution_dimension = features + 1

    def build(self, input_shape: Any) -> None:
        self.projection = self.add_weight(
            name="projection",
            shape=[self.input_dimension, self.features],
            # Embeddings have a root mean square of about .25: features start near 1.
            initializer=tf.keras.initializers.Orthogonal(gain=4.0),
        )
        add_label_numbers(self)
        self.gate = learned_number(self, "gate", 1.0)
        super().build(input_shape)

    def solve(
        self,
        pairs: tf.Tensor,
        hidden: tf.Tensor,
        base: tf.Tensor,
        label: tf.Tensor,
        mask: tf.Tensor,
    ) -> tf.Tensor:
        """The solution w of each task; no valid pair gives zeros.

        Args:
          pairs, hidden, base: Support pairs [B, S, d], the backbone's last hidden layer for them
            [B, S, H] and its scores [B, S], all float32 and finite.
          label: float32 [B, S], 1 positive, 0 negative.
          mask: bool [B, S], which pairs are valid.

        Returns:
          float32 [B, features + 1].
        """
        if not self.built:
            self.build(pairs.shape)
        positive = tf.cast(label > 0.5, tf.float32)
        target, weight, penalty = binary_targets(self, positive, 1.0 - positive, base)
        weight = tf.where(mask, weight, 0.0)
        return solve_ridge(self._features(pairs, hidden), target, weight, penalty)

    def call(
        self, pairs: tf.Tensor, hidden: tf.Tensor, base: tf.Tensor, solution: tf.Tensor
    ) -> tf.Tensor:
        """Query pairs [B, Q, d], [B, Q, H], [B, Q] and w [B, F] -> score float32 [B, Q]."""
        adapted = tf.linalg.matvec(self._features(pairs, hidden), solution)
        return base + REACH * self.gate * adapted

    def weights_of(self, solution: tf.Tensor) -> tf.Tensor:
        """What the features count in the score: w [B, F] -> g w [B, 1, F]."""
        return REACH * self.gate * solution[:, None]

    def _features(self, pairs: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
        if self.inputs == "item":
            pairs = pairs[..., -self.input_dimension :]
        projected = tf.matmul(hidden if self.inputs == "hidden" else pairs, self.projection)
        return tf.concat([tf.ones_like(projected[..., :1]), projected], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dimension": self.input_dimension,
            "features": self.features,
            "inputs": self.inputs,
        }
