"""DCN: a cross network beside a deep network, the same for every task (Wang et al. 2017)."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.baselines.pair_network import PairNetwork
from cmml_tf.baselines.task_weights import add_affine, affine
from cmml_tf.config.baselines import DcnConfig
from cmml_tf.layers.mlp import fan_in_uniform


def cross(x0: tf.Tensor, x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """x0 <x, w> + b + x, a layer of the cross network (equation 3 of Wang et al. 2017).

    `tfrs.layers.dcn.Cross` computes DCN-v2's x0 * (W x + b) + x: its bias is multiplied with x0,
    and of rank 1 its matrix weighs x0 too, so no setting of it gives this layer.

    Args:
      x0, x: float32 [B, N, d], the network's input and the layer's.
      kernel: w, float32 [d, 1] or [B, d, 1].
      bias: b, float32 [d] or [B, d].
    """
    return x0 * tf.matmul(x, kernel) + bias[..., None, :] + x


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class DeepCrossNetwork(tf.keras.layers.Layer):
    """Scores pair embeddings by a cross and a deep network, concatenated, then linear to 1.

    Args:
      cross_layers: Layers of the cross network.
      deep_units: Hidden units of the deep network, a ReLU behind each layer.
      projection: Units of a linear layer before both (user setting); None: none.

    Raises:
      ValueError: There is no cross or no deep layer.

    Example:

    >>> DeepCrossNetwork(cross_layers=2, deep_units=[8])(tf.ones([2, 5, 4])).shape.as_list()
    [2, 5]
    """

    def __init__(
        self,
        cross_layers: int = 3,
        deep_units: Sequence[int] = (64, 64),
        projection: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        config = DcnConfig(cross_layers, tuple(deep_units))  # says what is wrong with the sizes
        self.cross_layers = config.cross_layers
        self.deep_units = list(config.deep_units)
        self.projection = projection

    def build(self, input_shape: Any) -> None:
        d = int(input_shape[-1])
        if self.projection is not None:
            add_affine(self, "projection", d, self.projection)
            d = self.projection
        for number in range(1, self.cross_layers + 1):
            self.add_weight(
                name=f"cross_{number}/kernel", shape=[d, 1], initializer=fan_in_uniform()
            )
            self.add_weight(name=f"cross_{number}/bias", shape=[d], initializer="zeros")
        width = d
        for number, units in enumerate(self.deep_units, start=1):
            add_affine(self, f"deep_{number}", width, units)
            width = units
        add_affine(self, "output", d + width, 1)
        super().build(input_shape)

    def call(self, pairs: tf.Tensor, weights: Sequence[tf.Tensor] | None = None) -> tf.Tensor:
        """float32 [B, N, d] -> score float32 [B, N].

        `weights` stand in for the layer's own, in the order of `trainable_variables`, each with a
        leading axis B or without.
        """
        weights = list(self.trainable_variables if weights is None else weights)
        layers = list(zip(weights[::2], weights[1::2], strict=True))
        if self.projection is not None:
            pairs = affine(pairs, *layers.pop(0))
        crossed = deep = pairs
        for kernel, bias in layers[: self.cross_layers]:
            crossed = cross(pairs, crossed, kernel, bias)
        for kernel, bias in layers[self.cross_layers : -1]:
            deep = tf.nn.relu(affine(deep, kernel, bias))
        return tf.squeeze(affine(tf.concat([crossed, deep], axis=-1), *layers[-1]), axis=-1)

    def get_config(self) -> dict[str, Any]:
        own = {"cross_layers": self.cross_layers, "deep_units": self.deep_units}
        return {**super().get_config(), **own, "projection": self.projection}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class DCN(PairNetwork):
    """DCN over all meta-training tasks; it does not adapt.

    Args:
      pair_embedding: Ids to pair embeddings e.
      network: Pair embeddings to scores.
      task, gradient_clip: As of `EpisodeModel`.
    """

    def score_adapted(
        self, adapted: Any, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """() and int [B, Q] rows -> score float32 [B, Q]."""
        del adapted
        return super().score_adapted(None, query_user, query_item)
