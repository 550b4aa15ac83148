"""s2Meta's update controller: an LSTM that sets learning rate and forgetting for each weight.

Every single weight of a tensor has its own LSTM state; all weights of a tensor, and all tasks,
share the LSTM's parameters. States are kept with the hidden axis first, [H, N], so that the gates
are contiguous blocks.
"""

from typing import Any

import tensorflow as tf

INPUTS = 5
"""Log-magnitude and sign of the gradient, of the weight, and the log of the loss."""

_RANGE = 10.0
_NORM_EPSILON = 1e-5
_FORGET_BIAS = 5.0


def log_and_sign(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Numbers of any magnitude as two of about unit size (Andrychowicz et al. 2016, appendix A).

    (log|x| / 10, sign x) where |x| >= exp(-10), else (-1, exp(10) x).
    """
    magnitude = tf.abs(values)
    small = magnitude < tf.exp(-_RANGE)
    logarithm = tf.math.log(tf.maximum(magnitude, 1e-20)) / _RANGE
    return (
        tf.where(small, -tf.ones_like(values), logarithm),
        tf.where(small, tf.exp(_RANGE) * values, tf.sign(values)),
    )


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class UpdateController(tf.keras.layers.Layer):
    """The controller of one parameter tensor: (state, inputs) -> (gates, new state).

    gates = sigmoid(W LayerNorm(h') + b), the input gate (learning rate) and the forget gate (what
    is kept of the weight; it starts near 1). The layer norm is on the output, not in the state.

    Args:
      units: Hidden units H of the LSTM.
    """

    def __init__(self, units: int = 16, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        del input_shape
        units = self.units
        # Rows: input, forget, output gate, candidate. Columns: inputs, hidden state, bias.
        self.kernel = self.add_weight(
            name="kernel",
            shape=[4 * units, INPUTS + units],
            initializer=tf.keras.initializers.RandomUniform(-(units**-0.5), units**-0.5),
        )
        self.bias = self.add_weight(
            name="bias",
            shape=[4 * units, 1],
            initializer=lambda shape, dtype=None: tf.repeat(
                tf.constant([[0.0], [1.0], [0.0], [0.0]], dtype), units, axis=0
            ),
        )
        self.first_hidden, self.first_cell = (
            self.add_weight(name=name, shape=[units, 1], initializer=_normal(1.0))
            for name in ("first_hidden", "first_cell")
        )
        self.scale = self.add_weight(name="scale", shape=[1, units], initializer="ones")
        self.shift = self.add_weight(name="shift", shape=[units, 1], initializer="zeros")
        self.gate_kernel = self.add_weight(
            name="gate_kernel", shape=[2, units], initializer=_normal((2.0 / (units + 1)) ** 0.5)
        )
        self.gate_bias = self.add_weight(
            name="gate_bias",
            shape=[2, 1],
            initializer=lambda shape, dtype=None: tf.constant([[0.0], [_FORGET_BIAS]], dtype),
        )
        super().build([INPUTS, None])

    def first_state(self, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Hidden and cell state before the first step, float32 [H, N] for N = `count` weights."""
        shape = tf.stack([self.units, count])
        return tf.broadcast_to(self.first_hidden, shape), tf.broadcast_to(self.first_cell, shape)

    def call(
        self, inputs: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One step.

        Args:
          inputs: float32 [5, N].
          hidden, cell: float32 [H, N].

        Returns:
          Gates float32 [2, N] (learning rate, share of the weight that is kept), hidden, cell.
        """
        units = self.units
        read = tf.concat([inputs, hidden, tf.ones_like(inputs[:1])], axis=0)
        before = tf.matmul(tf.concat([self.kernel, self.bias], axis=1), read)  # [4H, N]
        gates, candidate = tf.split(before, [3 * units, units])
        enter, keep, leave = tf.split(tf.sigmoid(gates), 3)
        cell = keep * cell + enter * tf.tanh(candidate)
        hidden = leave * tf.tanh(cell)
        return tf.sigmoid(self._gate_logits(hidden)), hidden, cell

    def _gate_logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """W LayerNorm(h) + b as products over the hidden axis, without the normalised h itself."""
        mean = tf.fill([1, self.units], 1.0 / self.units)
        weight = self.gate_kernel * self.scale  # [2, H]
        products = tf.matmul(tf.concat([weight, mean], axis=0), hidden)  # [3, N]
        logits, centre = tf.split(products, [2, 1])
        variance = tf.nn.relu(tf.matmul(mean, tf.square(hidden)) - tf.square(centre))
        total = tf.reduce_sum(weight, axis=1, keepdims=True)
        normalised = (logits - total * centre) * tf.math.rsqrt(variance + _NORM_EPSILON)
        return normalised + tf.matmul(self.gate_kernel, self.shift) + self.gate_bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def _normal(deviation: float) -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.RandomNormal(0.0, deviation)
