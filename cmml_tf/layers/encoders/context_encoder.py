"""Context encoders: from the labelled support set to the task context C (paper section 3.2).

An encoder reads support pair embeddings with their label features appended, and a mask that says
which pairs are valid; masked positions never change the context. An empty support set has a
defined context: zeros for pooling, or a learned vector with `prior`; the MLP of the initial state
for the GRU.
"""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.encoders.gru import gru_last_state, gru_mean_state
from cmml_tf.layers.encoders.gru_gradient import trainable_gru_last_state, trainable_gru_mean_state
from cmml_tf.layers.encoders.support_encoder import SupportEncoder
from cmml_tf.layers.encoders.support_order import interleaved
from cmml_tf.layers.mlp import MLP, fan_in_uniform
from cmml_tf.layers.sizes import positive


def binary_label_features(label: tf.Tensor) -> tf.Tensor:
    """One-hot [positive, negative] of a scenario's support labels.

    Args:
      label: float32 [B, S], 1 positive and 0 negative.

    Returns:
      float32 [B, S, 2].
    """
    return tf.stack([label, 1.0 - label], axis=-1)


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class PoolingContextEncoder(SupportEncoder):
    """PE (equation 6): a shared MLP on each pair, then the mean or maximum over the valid pairs.

    Args:
      context_dimension: D.
      units: Hidden units of the hidden layers of the MLP.
      pooling: `mean` or `max`.
      hidden_layers: Hidden layers of the MLP: two, in the user setting one.
      prior: The pool holds, beside the pairs, a learned vector: the context of an empty support. In
        the mean it counts as k pairs, k learned too (1 at first), so that few pairs lead away from
        it little. Not in the paper.

    Raises:
      ValueError: `pooling` is neither of the two, or `hidden_layers` is not positive.

    Example:

    >>> encoder = PoolingContextEncoder(context_dimension=6, units=8)
    >>> mask = tf.constant([[True, True, False]])
    >>> encoder(tf.ones([1, 3, 4]), mask=mask).shape.as_list()
    [1, 6]
    """

    def __init__(
        self,
        context_dimension: int,
        units: int = 128,
        pooling: str = "mean",
        hidden_layers: int = 2,
        prior: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(context_dimension, **kwargs)
        positive(hidden_layers=hidden_layers)
        if pooling not in ("mean", "max"):
            raise ValueError(f"`pooling` must be mean or max. Received: pooling={pooling!r}.")
        self.units = units
        self.pooling = pooling
        self.hidden_layers = hidden_layers
        self.prior = prior
        self.mlp = MLP([units] * hidden_layers + [context_dimension], name="mlp")

    def build(self, input_shape: Any) -> None:
        build_named(self.mlp, input_shape)
        if self.prior:
            self.prior_context = self.add_weight(
                name="prior_context",
                shape=[self.context_dimension],
                initializer=tf.keras.initializers.RandomNormal(stddev=0.1),
            )
        if self.prior and self.pooling == "mean":
            self.log_prior_pairs = self.add_weight(
                name="log_prior_pairs", shape=[], initializer="zeros"
            )
        super().build(input_shape)

    def encode(self, pairs: tf.Tensor, mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        """float32 [B, S, d + f], bool [B, S] -> context float32 [B, D]."""
        del training
        encoded = self.mlp(pairs)  # [B, S, D]
        mask = mask[:, :, None]
        if self.pooling == "mean":
            count = tf.reduce_sum(tf.cast(mask, encoded.dtype), axis=1)
            total = tf.reduce_sum(tf.where(mask, encoded, 0.0), axis=1)
            if self.prior:
                pairs_of_prior = tf.exp(self.log_prior_pairs)
                total += pairs_of_prior * self.prior_context
                count += pairs_of_prior
            return tf.math.divide_no_nan(total, count)
        largest = tf.reduce_max(tf.where(mask, encoded, encoded.dtype.min), axis=1)
        if self.prior:
            return tf.maximum(largest, self.prior_context)
        return tf.where(tf.reduce_any(mask, axis=1), largest, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "context_dimension": self.context_dimension,
            "units": self.units,
            "pooling": self.pooling,
            "hidden_layers": self.hidden_layers,
            "prior": self.prior,
        }


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class SequentialContextEncoder(SupportEncoder):
    """SE (equation 7): C = MLP(GRU(c_1 .. c_n)), the GRU's last valid state through an MLP.

    Args:
      context_dimension: D.
      units: State size of the GRU and hidden units of the MLP.
      state: What the MLP reads: the `last` valid state, as in the paper, or the `mean` of all valid
        ones, through which each pair reaches the context at once.
      order: `given`, or `interleaved` (see `support_order`), for one-hot labels.

    Raises:
      ValueError: A size is not positive, or `state` or `order` is none of these.

    Example:

    >>> encoder = SequentialContextEncoder(context_dimension=6, units=8)
    >>> encoder(tf.ones([1, 3, 4])).shape.as_list()
    [1, 6]
    """

    def __init__(
        self,
        context_dimension: int,
        units: int = 256,
        state: str = "last",
        order: str = "given",
        **kwargs: Any,
    ) -> None:
        super().__init__(context_dimension, **kwargs)
        if state not in ("last", "mean"):
            raise ValueError(f"`state` must be last or mean. Received: state={state!r}.")
        if order not in ("given", "interleaved"):
            raise ValueError(f"`order` must be given or interleaved. Received: order={order!r}.")
        self.state = state
        self.order = order
        self.units = units
        self.mlp = MLP([units, context_dimension], name="mlp")

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            name="gru_kernel",
            shape=[int(input_shape[-1]), 3 * self.units],
            initializer=tf.keras.initializers.RandomUniform(-(self.units**-0.5), self.units**-0.5),
        )
        self.recurrent_kernel = self.add_weight(
            name="gru_recurrent_kernel",
            shape=[self.units, 3 * self.units],
            initializer=fan_in_uniform(),
        )
        self.bias = self.add_weight(name="gru_bias", shape=[2, 3 * self.units], initializer="zeros")
        build_named(self.mlp, [None, self.units])
        super().build(input_shape)

    def encode(self, pairs: tf.Tensor, mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        """float32 [B, S, d + f], bool [B, S] -> context float32 [B, D]."""
        if self.order == "interleaved":
            pairs, mask = interleaved(pairs, mask)
        # The training version registers a gradient, which an exported graph must not hold.
        if self.state == "mean":
            read = trainable_gru_mean_state if training else gru_mean_state
        else:
            read = trainable_gru_last_state if training else gru_last_state
        return self.mlp(read(pairs, mask, self.kernel, self.recurrent_kernel, self.bias))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "context_dimension": self.context_dimension,
            "units": self.units,
            "state": self.state,
            "order": self.order,
        }
