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
        centred, deviation = _spread(evidence)
        popularity = evidence.popularity[:, None, :]
        return tf.concat([centred / deviation, popularity], axis=1)

    def of_content(self, evidence: Evidence) -> tf.Tensor:
        """What content adds to the sums of a level, by the same measure: float32 [B, K, w]."""
        return evidence.content / _spread(evidence)[1]


def _spread(evidence: Evidence) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums of table items and of levels less the mean over the catalogue; and the deviation.

    float32 [B, K, M + L] and [B, K, 1].
    """
    items = evidence.compared
    mean = tf.reduce_sum(evidence.sums, axis=2, keepdims=True) / items
    places = _length(evidence.popularity)
    levels = places - _length(evidence.sums)
    centred = tf.pad(evidence.sums, [[0, 0], [0, 0], [0, levels]]) - mean
    squares = tf.reduce_sum(tf.square(centred), axis=2, keepdims=True)
    squares += (items - tf.cast(places, tf.float32)) * tf.square(mean)
    return centred, tf.sqrt(tf.maximum(squares, 0.0) / items) + _LEAST_DEVIATION


def _length(values: tf.Tensor) -> int | tf.Tensor:
    """Of the last axis; a number where it is known."""
    return tf.shape(values)[-1] if values.shape[-1] is None else values.shape[-1]
