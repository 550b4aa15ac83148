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
        outside = tf.shape(evidence.level)[1]
        others = tf.cast(outside, tf.float32)
        items = tf.cast(tf.shape(evidence.sums)[2], tf.float32) + others
        mean = tf.reduce_sum(evidence.sums, axis=2, keepdims=True) / items
        sums = evidence.sums - mean
        squares = tf.reduce_sum(tf.square(sums), axis=2, keepdims=True) + others * tf.square(mean)
        deviation = tf.sqrt(squares / items) + _LEAST_DEVIATION
        levels = tf.shape(evidence.popularity)[1] - tf.shape(evidence.sums)[2]
        rest = tf.repeat(-mean / deviation, levels, axis=2)
        popularity = evidence.popularity[:, None, :]
        return tf.concat([tf.concat([sums / deviation, rest], axis=2), popularity], axis=1)
