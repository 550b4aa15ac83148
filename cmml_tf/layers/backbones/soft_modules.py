"""Soft modularisation: the context routes between modules (paper section 3.4, equations 12, 13)."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.layers.backbones.modulation import HyperNetwork
from cmml_tf.layers.building import build_named, built_shape
from cmml_tf.layers.mlp import dense, fan_in_uniform
from cmml_tf.layers.sizes import positive, positive_units


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class SoftModularBackbone(tf.keras.layers.Layer):
    """L layers of M modules; soft routes, set by the hybrid context, join one layer to the next.

    Input of module j in layer l + 1 is sum_i p[i, j] * output_i of layer l; each column of p is a
    softmax over the source modules i. A last column mixes the outputs of layer L before the score.

    Args:
      units: Width of the modules of each layer.
      modules: M, modules of a layer.
      hyper_units: Hidden units of the route network.

    Raises:
      ValueError: `units` is empty, or a size is below 1.

    Example:

    >>> layer = SoftModularBackbone([4, 4, 8], modules=2)
    >>> layer(tf.ones([2, 5, 6]), tf.ones([2, 5, 6])).shape.as_list()
    [2, 5]
    """

    def __init__(
        self,
        units: Sequence[int] = (32, 32, 64),
        modules: int = 4,
        hyper_units: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_units(units)
        positive(modules=modules, hyper_units=hyper_units)
        self.modules = modules
        self.hyper_units = hyper_units
        between = [modules * modules] * (len(self.units) - 1)
        self.route_network = HyperNetwork(hyper_units, [*between, modules], name="route_network")
        self.output_layer = dense(1, name="output")

    def build(self, input_shape: Any, hybrid_shape: Any = None) -> None:
        width = int(input_shape[-1])
        self.kernels, self.biases = [], []
        for index, units in enumerate(self.units):
            kernel = self.add_weight(
                name=f"kernel_{index}",
                shape=[self.modules, width, units],
                # The fan in is that of one module, which Keras would misread from three axes.
                initializer=_PerModule(),
            )
            bias = self.add_weight(
                name=f"bias_{index}", shape=[self.modules, units], initializer="zeros"
            )
            self.kernels.append(kernel)
            self.biases.append(bias)
            width = units
        build_named(self.output_layer, [None, width])
        if hybrid_shape is not None:
            build_named(self.route_network, hybrid_shape)
        super().build(input_shape)

    def routes(self, hybrid_context: tf.Tensor) -> list[tf.Tensor]:
        """Route weights of each layer: float32 [B, Q, M, M], the last [B, Q, M, 1].

        Axis 2 is the source module; each column sums to 1.
        """
        routes = []
        for logits in self.route_network(hybrid_context):
            columns = logits.shape[-1] // self.modules
            shape = tf.concat([tf.shape(logits)[:2], [self.modules, columns]], axis=0)
            routes.append(tf.nn.softmax(tf.reshape(logits, shape), axis=2))
        return routes

    def call(self, pairs: tf.Tensor, hybrid_context: tf.Tensor) -> tf.Tensor:
        """float32 [B, Q, d], [B, Q or 1, D] -> score float32 [B, Q]."""
        return self.score_and_hidden(pairs, hybrid_context)[0]

    def score_and_hidden(
        self, pairs: tf.Tensor, hybrid_context: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [B, Q, d], [B, Q or 1, D] -> score [B, Q], last layer's mixture [B, Q, H]."""
        routes = self.routes(hybrid_context)
        # The first layer's modules all read the pair embedding.
        outputs = tf.einsum("bqi,mio->bqmo", pairs, self.kernels[0])
        outputs = tf.nn.relu(outputs + self.biases[0])
        for kernel, bias, route in zip(self.kernels[1:], self.biases[1:], routes, strict=False):
            inputs = tf.matmul(route, outputs, transpose_a=True)  # [B, Q, M, H]
            outputs = tf.nn.relu(tf.einsum("bqmi,mio->bqmo", inputs, kernel) + bias)
        mixed = tf.matmul(routes[-1], outputs, transpose_a=True)  # [B, Q, 1, H]
        return tf.squeeze(self.output_layer(mixed), axis=[-2, -1]), tf.squeeze(mixed, axis=-2)

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`route_l` of each layer l, counted from 1: [B, Q, M, M], the last [B, Q, M, 1]."""
        routes = self.routes(hybrid_context)
        return {f"route_{index}": route for index, route in enumerate(routes, start=1)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "modules": self.modules,
            "hyper_units": self.hyper_units,
        }

    def get_build_config(self) -> dict[str, Any] | None:
        """Both shapes of `build`."""
        config = super().get_build_config()
        return config and {**config, "hybrid_shape": built_shape(self.route_network)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Creates the weights that a layer of this `get_build_config` has."""
        self.build(config["input_shape"], config["hybrid_shape"])


class _PerModule(tf.keras.initializers.Initializer):
    """Initial values [M, I, O], uniform in +-1/sqrt(I)."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> tf.Tensor:
        del kwargs
        modules, inputs, outputs = (int(size) for size in shape)
        drawn = [fan_in_uniform()([inputs, outputs], dtype) for _ in range(modules)]
        return tf.stack(drawn)
