"""Modulation of the backbone by the hybrid context (paper section 3.4, equations 9 to 11)."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.layers.backbones.backbone import HiddenLayers
from cmml_tf.layers.building import build_named, built_shape
from cmml_tf.layers.mlp import MLP, dense
from cmml_tf.layers.sizes import positive


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class HyperNetwork(tf.keras.layers.Layer):
    """A chain of ReLU layers on the hybrid context, with a linear head at each of them.

    Args:
      units: Hidden units h of every layer of the chain.
      head_units: Width of each head; its length is the depth of the chain.
      bias_initial_value: First value of all biases.

    Example:

    >>> [head.shape[-1] for head in HyperNetwork(8, [4, 6])(tf.ones([2, 5, 3]))]
    [4, 6]
    """

    def __init__(
        self, units: int, head_units: Sequence[int], bias_initial_value: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.head_units = list(head_units)
        self.bias_initial_value = bias_initial_value
        self.chain = [
            dense(units, "relu", bias_initial_value, name=f"chain_{index}")
            for index in range(len(self.head_units))
        ]
        self.heads = [
            dense(width, bias=bias_initial_value, name=f"head_{index}")
            for index, width in enumerate(self.head_units)
        ]

    def build(self, input_shape: Any) -> None:
        width = int(input_shape[-1])
        for layer, head in zip(self.chain, self.heads, strict=True):
            build_named(layer, [None, width])
            build_named(head, [None, self.units])
            width = self.units
        super().build(input_shape)

    def call(self, hybrid_context: tf.Tensor) -> list[tf.Tensor]:
        """float32 [B, Q, D] -> one float32 [B, Q, head_units[l]] for each layer l."""
        heads = []
        for layer, head in zip(self.chain, self.heads, strict=True):
            hybrid_context = layer(hybrid_context)
            heads.append(head(hybrid_context))
        return heads

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "head_units": self.head_units,
            "bias_initial_value": self.bias_initial_value,
        }


class _HyperBackbone(HiddenLayers):
    """A backbone whose modulation comes from a network of `hyper_units` hidden units."""

    def __init__(
        self,
        units: Sequence[int] = (64, 64, 64),
        hyper_units: int = 64,
        bias_initial_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, bias_initial_value, **kwargs)
        positive(hyper_units=hyper_units)
        self.hyper_units = hyper_units
        self.hyper_network = self._make_hyper_network()

    def _make_hyper_network(self) -> tf.keras.layers.Layer:
        raise NotImplementedError

    def build(self, input_shape: Any, hybrid_shape: Any = None) -> None:
        if hybrid_shape is not None:
            build_named(self.hyper_network, hybrid_shape)
        super().build(input_shape)

    def call(self, pairs: tf.Tensor, hybrid_context: tf.Tensor) -> tf.Tensor:
        """float32 [B, Q, d], [B, Q or 1, D] -> score float32 [B, Q]."""
        return self.score_and_hidden(pairs, hybrid_context)[0]

    def score_and_hidden(
        self, pairs: tf.Tensor, hybrid_context: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [B, Q, d], [B, Q or 1, D] -> score [B, Q], last hidden layer [B, Q, H]."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hyper_units": self.hyper_units}

    def get_build_config(self) -> dict[str, Any] | None:
        """Both shapes of `build`."""
        config = super().get_build_config()
        return config and {**config, "hybrid_shape": built_shape(self.hyper_network)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Creates the weights that a layer of this `get_build_config` has."""
        self.build(config["input_shape"], config["hybrid_shape"])


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class FilmBackbone(_HyperBackbone):
    """FiLM (equation 11): scale * x + shift on each hidden layer's pre-activation x.

    Args:
      units: Widths of the hidden layers.
      hyper_units: Hidden units h of the hyper-network.
      bias_initial_value: First value of all biases, of backbone and hyper-network.
      residual_scale: The scale is 1 + what the hyper-network gives. Without (the paper), the
        pre-activations of an untrained network are multiplied by nearly nothing, layer by layer.

    Example:

    >>> FilmBackbone([8, 8])(tf.ones([2, 5, 4]), tf.ones([2, 5, 4])).shape.as_list()
    [2, 5]
    """

    def __init__(
        self,
        units: Sequence[int] = (64, 64, 64),
        hyper_units: int = 64,
        bias_initial_value: float = 0.0,
        residual_scale: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, hyper_units, bias_initial_value, **kwargs)
        self.residual_scale = residual_scale

    def _make_hyper_network(self) -> HyperNetwork:
        widths = [2 * width for width in self.units]
        return HyperNetwork(self.hyper_units, widths, self.bias_initial_value, name="hyper_network")

    def _scales_and_shifts(self, hybrid_context: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        pairs = [tf.split(head, 2, axis=-1) for head in self.hyper_network(hybrid_context)]
        return [(1.0 + scale if self.residual_scale else scale, shift) for scale, shift in pairs]

    def score_and_hidden(
        self, pairs: tf.Tensor, hybrid_context: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [B, Q, d], [B, Q or 1, D] -> score [B, Q], last hidden layer [B, Q, H]."""
        written = self._scales_and_shifts(hybrid_context)

        def modulate(layer: int, values: tf.Tensor) -> tf.Tensor:
            scale, shift = written[layer]
            return scale * values + shift

        hidden = self.hidden(pairs, modulate)
        return tf.squeeze(self.output_layer(hidden), axis=-1), hidden

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`scale_l` and `shift_l` [B, Q, H] of each layer l, counted from 1."""
        values: dict[str, tf.Tensor] = {}
        for index, (scale, shift) in enumerate(self._scales_and_shifts(hybrid_context), start=1):
            values |= {f"scale_{index}": scale, f"shift_{index}": shift}
        return values

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "residual_scale": self.residual_scale}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class SigmoidBackbone(_HyperBackbone):
    """Sigmoid gates (equation 10): sigmoid(head) * x on each hidden layer's pre-activation x.

    Args:
      units: Widths of the hidden layers.
      hyper_units: Hidden units h of the hyper-network.
      bias_initial_value: First value of all biases, of backbone and hyper-network.

    Example:

    >>> SigmoidBackbone([8, 8])(tf.ones([2, 5, 4]), tf.ones([2, 5, 4])).shape.as_list()
    [2, 5]
    """

    def _make_hyper_network(self) -> HyperNetwork:
        return HyperNetwork(
            self.hyper_units, self.units, self.bias_initial_value, name="hyper_network"
        )

    def score_and_hidden(
        self, pairs: tf.Tensor, hybrid_context: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [B, Q, d], [B, Q or 1, D] -> score [B, Q], last hidden layer [B, Q, H]."""
        heads = self.hyper_network(hybrid_context)
        hidden = self.hidden(pairs, lambda layer, values: tf.sigmoid(heads[layer]) * values)
        return tf.squeeze(self.output_layer(hidden), axis=-1), hidden

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`scale_l` [B, Q, H] of each layer l, counted from 1."""
        heads = self.hyper_network(hybrid_context)
        return {f"scale_{i}": tf.sigmoid(head) for i, head in enumerate(heads, start=1)}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class LinearBackbone(_HyperBackbone):
    """Linear weight modulation (equation 9): the context writes the output layer.

    Args:
      units: Widths of the hidden layers; the context writes `units[-1]` weights and a bias.
      hyper_units: Hidden units h of the hyper-network.
      bias_initial_value: First value of the backbone's biases.

    Example:

    >>> LinearBackbone([8, 8])(tf.ones([2, 5, 4]), tf.ones([2, 5, 4])).shape.as_list()
    [2, 5]
    """

    def _make_output_layer(self) -> None:
        return None

    def _make_hyper_network(self) -> MLP:
        return MLP([self.hyper_units, self.hyper_units, self.units[-1] + 1], name="hyper_network")

    def score_and_hidden(
        self, pairs: tf.Tensor, hybrid_context: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [B, Q, d], [B, Q or 1, D] -> score [B, Q], last hidden layer [B, Q, H]."""
        written = self.hyper_network(hybrid_context)  # [B, Q, H + 1]
        hidden = self.hidden(pairs)
        return tf.reduce_sum(hidden * written[..., :-1], axis=-1) + written[..., -1], hidden

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`output_weight` [B, Q, H] and `output_bias` [B, Q, 1]."""
        written = self.hyper_network(hybrid_context)
        return {"output_weight": written[..., :-1], "output_bias": written[..., -1:]}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RatingLinearBackbone(LinearBackbone):
    """Linear weight modulation as the authors' user setting has it (equation 9).

    Hidden layers with ReLU between and none behind the last; one hidden hyper-network layer.

    Args:
      units: Widths of the hidden layers; the context writes `units[-1]` weights and a bias.
      hyper_units: Hidden units h of the hyper-network.
      bias_initial_value: First value of the backbone's biases.

    Example:

    >>> RatingLinearBackbone([8, 8])(tf.ones([2, 5, 4]), tf.ones([2, 5, 4])).shape.as_list()
    [2, 5]
    """

    def _make_hyper_network(self) -> MLP:
        return MLP([self.hyper_units, self.units[-1] + 1], name="hyper_network")

    def hidden(
        self, pairs: tf.Tensor, modulate: Callable[[int, tf.Tensor], tf.Tensor] | None = None
    ) -> tf.Tensor:
        """float32 [B, Q, d] -> the last hidden layer [B, Q, H], before any activation."""
        del modulate
        for layer in self.hidden_layers[:-1]:
            pairs = tf.nn.relu(layer(pairs))
        return self.hidden_layers[-1](pairs)
