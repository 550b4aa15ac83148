"""Personal taste as pre-trained embeddings tell it: the product of user and item."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.learned_number import REACH, learned_number


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class Affinity(tf.keras.layers.Layer):
    """A term of the score, a <u, v>, for user embedding u, item embedding v and a learned number a.

    Not in the paper. Its backbone, whose input is u beside v, has to learn this product from
    examples, and while it does, it learns the users of the meta-training scenarios by heart.

    Example:

    >>> Affinity()(tf.ones([2, 5, 4])).shape.as_list()
    [2, 5]
    """

    def build(self, input_shape: Any) -> None:
        if int(input_shape[-1]) % 2:
            raise ValueError(
                "The affinity of user and item needs equally wide embeddings. "
                f"Received: a pair embedding of {input_shape[-1]}."
            )
        self.factor = learned_number(self, "factor", 2.0)
        super().build(input_shape)

    def call(self, pairs: tf.Tensor) -> tf.Tensor:
        """float32 [B, Q, d], user then item, equally wide -> float32 [B, Q]."""
        user, item = tf.split(pairs, 2, axis=-1)
        return REACH * self.factor * tf.reduce_sum(user * item, axis=-1)
