"""The context of a user: how much is known, and how popular it is (context encoder)."""

import tensorflow as tf

from cmml_tf.layers.catalogue.item_tables import Evidence

_SCALE = 3.0  # of log(1 + n), about 1 with 20 known items


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class KnownItemsContext(tf.keras.layers.Layer):
    """`Evidence` of n items -> C = [l, l^2, 1 / (1 + n), mean popularity, n > 0], float32 [B, 5].

    l is log(1 + n) / 3.
    """

    context_dimension = 5

    def call(self, evidence: Evidence) -> tf.Tensor:
        known = evidence.known
        size = tf.math.log1p(known) / _SCALE
        some = tf.minimum(known, 1.0)
        columns = [size, tf.square(size), 1.0 / (1.0 + known), evidence.mean_popularity, some]
        return tf.stack(columns, axis=1)
