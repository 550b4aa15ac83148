"""What the library's GRU is compared with."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.encoders.context_encoder import SequentialContextEncoder


class KerasGruEncoder(SequentialContextEncoder):
    """The encoder as one writes it with Keras' own GRU."""

    def build(self, input_shape: Any) -> None:
        self.gru = tf.keras.layers.GRU(self.units)
        self.gru.build(tuple(input_shape))
        self.mlp.build([None, self.units])
        self.built = True

    def call(self, pairs: tf.Tensor, mask: Any = None, training: Any = None) -> tf.Tensor:
        # All support pairs are valid here; a mask would make Keras slower still.
        return self.mlp(self.gru(pairs))
