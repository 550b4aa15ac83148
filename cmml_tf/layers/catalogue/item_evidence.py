"""What a support says of each item, made comparable between users (hybrid context)."""

import tensorflow as tf

from cmml_tf.layers.catalogue.item_tables import Evidence

_LEAST_DEVIATION = 1e-6


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ItemEvidence(tf.keras.layers.Layer):
    """`Evidence` -> f float32 [B, K + 1, I]: each table's sums and popularity, by item.

    The sums of a task have mean 0 and deviation 1 over the catalogue; without a support they are 0.
    """

    def call(self, evidence: Evidence) -> tf.Tensor:
        sums = evidence.sums - tf.reduce_mean(evidence.sums, axis=2, keepdims=True)
        variance = tf.reduce_mean(tf.square(sums), axis=2, keepdims=True)
        sums /= tf.sqrt(variance) + _LEAST_DEVIATION
        return tf.concat([sums, evidence.popularity[:, None, :]], axis=1)
