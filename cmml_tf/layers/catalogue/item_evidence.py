"""What a support says of each item, made comparable between users (hybrid context)."""

import tensorflow as tf

from cmml_tf.layers.catalogue.item_tables import Evidence

_LEAST_DEVIATION = 1e-6


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ItemEvidence(tf.keras.layers.Layer):
    """`Evidence` -> f float32 [B, K + 1, M + L]: each table's sums and popularity.

    Of the items in the tables, then of the levels, whose sums are what 0 becomes: the sums of a
    task have mean 0 and deviation 1 over the catalogue. Without a support they are 0.
    """

    def call(self, evidence: Evidence) -> tf.Tensor:
        mean, deviation = _spread(evidence)
        sums = (evidence.sums - mean) / deviation
        levels = tf.shape(evidence.popularity)[1] - tf.shape(evidence.sums)[2]
        rest = tf.repeat(-mean / deviation, levels, axis=2)
        popularity = evidence.popularity[:, None, :]
        return tf.concat([tf.concat([sums, rest], axis=2), popularity], axis=1)

    def of_content(self, evidence: Evidence) -> tf.Tensor:
        """What content adds to the sums of a level, by the same measure: float32 [B, K, w]."""
        return evidence.content / _spread(evidence)[1]


def _spread(evidence: Evidence) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and deviation of a task's sums over the catalogue, float32 [B, K, 1] each."""
    items = evidence.compared[:, None, None]
    others = items - tf.cast(tf.shape(evidence.sums)[2], tf.float32)
    mean = tf.reduce_sum(evidence.sums, axis=2, keepdims=True) / items
    squares = tf.reduce_sum(tf.square(evidence.sums - mean), axis=2, keepdims=True)
    squares += others * tf.square(mean)
    return mean, tf.sqrt(squares / items) + _LEAST_DEVIATION
