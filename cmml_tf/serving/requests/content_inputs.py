"""Features of a request, which describe users or items that the export does not know, as content.

Inputs are named and shaped as those of the user setting (`feature_inputs`); a `vector` has one more
axis, its numbers.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from cmml_tf.content.encoder import ContentEncoder, ContentFeature
from cmml_tf.content.encoder_graph import ContentGraph
from cmml_tf.content.token_graph import SEPARATOR
from cmml_tf.serving.requests.feature_inputs import input_name
from cmml_tf.serving.requests.rules import Tensors
from cmml_tf.serving.requests.task_groups import traced_once

_LARGEST = float(np.finfo(np.float32).max)


class ContentInputs(tf.Module):
    """The features of one side, users or items, as a request names them.

    Args:
      side: `item` or `user`; inputs are `<prefix>_<side>_<feature>`.
      encoder: Fitted on the catalogue.
    """

    def __init__(self, side: str, encoder: ContentEncoder) -> None:
        super().__init__()
        self._side = side
        self._features = encoder.features
        self.graph = ContentGraph(encoder, f"{side}_content")
        self._encode = traced_once(self.graph)

    def specs(self, prefix: str, rank: int) -> dict[str, tf.TensorSpec]:
        """Names, types and shapes of the inputs."""
        specs = {}
        for one in self._features:
            numbers = one.kind in ("numeric", "vector")
            shape = [None] * rank + ([one.width] if one.kind == "vector" else [])
            name = input_name(prefix, self._side, one.name)
            specs[name] = tf.TensorSpec(shape, tf.float32 if numbers else tf.string)
        return specs

    def accepted_numbers(self, prefix: str) -> dict[str, tuple[float, float]]:
        """First and last value of each input of numbers: any finite one; NaN is an unknown value.

        What lies beyond the catalogue's own numbers counts as their first or last.
        """
        return {
            input_name(prefix, self._side, one.name): (-_LARGEST, _LARGEST)
            for one in self._features
            if one.kind in ("numeric", "vector")
        }

    def examples(self, prefix: str, shape: Sequence[int]) -> dict[str, np.ndarray]:
        """Values of the catalogue for every input, for a request to try the model with."""
        return {
            input_name(prefix, self._side, one.name): _example(one, shape) for one in self._features
        }

    def encode(self, inputs: Tensors, prefix: str) -> tf.Tensor:
        """The content of N rows: float32 [N, c], of inputs [...] with N values (vectors)."""
        features = {}
        for one in self._features:
            values = inputs[input_name(prefix, self._side, one.name)]
            flat = [-1, one.width] if one.kind == "vector" else [-1]
            features[one.name] = tf.reshape(values, flat)
        return self._encode(features)


def _example(feature: ContentFeature, shape: Sequence[int]) -> np.ndarray:
    if feature.kind == "vector":
        vector = feature.examples[0] if feature.examples else [np.nan] * feature.width
        return np.broadcast_to(np.array(vector, np.float32), [*shape, feature.width])
    if feature.kind == "numeric":
        return np.full(shape, feature.examples[0] if feature.examples else np.nan, np.float32)
    values = [
        SEPARATOR.join(value) if feature.kind == "multi-hot" else value
        for value in feature.examples or [""]
    ]
    return np.resize(np.array(values, object), shape)
