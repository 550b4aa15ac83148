"""Raw feature values of a request, turned into what the feature tables take, inside the graph.

A categorical value or id is a string, "" for unknown; several values are one string with | between
them; a number is a float, NaN for unknown. One string a pair keeps a server's padding of batched
requests, which would repeat a list's first member, out of the values.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from cmml_tf.layers.feature_embedding import FeaturePairEmbedding, FieldEmbedding
from cmml_tf.serving.requests.rules import Tensors
from cmml_tf.serving.vocabulary import lookup_table, vocabulary

SEPARATOR = "|"
# Values of a feature that example requests are made of.
_EXAMPLES = 100
_MOST_DEVIATIONS = 10_000.0
# The difference of two numbers that is surely finite in float32.
_LARGEST = float(np.finfo(np.float32).max) * (1 - 1e-6)


class FeatureInputs(tf.Module):
    """The features of one side, users or items, as a request names them.

    Args:
      side: `item` or `user`; inputs are `<prefix>_<side>_<feature>`.
      fields: The side's features.
      folder: Where the vocabulary files are written; they must stay until the module is saved.
      id_key: Where given, the feature of kind `id` is named by `hash_user_ids` with this key.
    """

    def __init__(
        self,
        side: str,
        fields: Sequence[FieldEmbedding],
        folder: Path,
        id_key: bytes | None = None,
    ) -> None:
        super().__init__()
        self._side = side
        # Plain functions: layers and features are not tracked.
        self._fields = tuple((field.feature, field.embed) for field in fields)
        self.tables = {}
        self._words = {}
        for field in fields:
            if field.feature.kind != "numeric":
                name = f"{side}_{field.feature.name}"
                known = field.feature.vocabulary
                key = id_key if field.feature.kind == "id" else None
                words = vocabulary(name, known, len(known), key)
                words.write(folder / f"{name}.txt")
                self._words[field.feature.name] = words.lines[:_EXAMPLES]
                self.tables[field.feature.name] = lookup_table(
                    folder / f"{name}.txt", tf.string, len(words.lines)
                )

    def specs(self, prefix: str, rank: int) -> dict[str, tf.TensorSpec]:
        """Names, types and shapes of the inputs."""
        shape = [None] * rank
        return {
            input_name(prefix, self._side, feature.name): tf.TensorSpec(
                shape, tf.float32 if feature.kind == "numeric" else tf.string
            )
            for feature, _ in self._fields
        }

    def accepted_numbers(self, prefix: str) -> dict[str, tuple[float, float]]:
        """First and last value of each numeric input; NaN is an unknown value.

        Of n values none lies more than sqrt(n) deviations from the mean: what does is a mistake,
        and would take the precision of a closed form.
        """
        accepted = {}
        for feature, _ in self._fields:
            if feature.kind == "numeric":
                room = min(_MOST_DEVIATIONS * feature.deviation, _LARGEST)
                accepted[input_name(prefix, self._side, feature.name)] = (
                    max(feature.mean - room, -_LARGEST),
                    min(feature.mean + room, _LARGEST),
                )
        return accepted

    def examples(self, prefix: str, shape: Sequence[int]) -> dict[str, np.ndarray]:
        """Known values for every input, for a request to try the model with."""
        values = {}
        for feature, _ in self._fields:
            if feature.kind == "numeric":
                array = np.full(shape, feature.mean, np.float32)
            else:
                array = np.resize(np.array(self._words[feature.name], object), shape)
            values[input_name(prefix, self._side, feature.name)] = array
        return values

    def embed(self, inputs: Tensors, prefix: str) -> list[tf.Tensor]:
        """Each feature's embedding of flat inputs [n]: float32 [n, dimension]."""
        embedded = []
        for feature, embed in self._fields:
            values = tf.reshape(inputs[input_name(prefix, self._side, feature.name)], [-1])
            if feature.kind == "numeric":
                standardised = (values - feature.mean) / feature.deviation
                embedded.append(embed(tf.where(tf.math.is_nan(values), 0.0, standardised)))
            elif feature.kind == "multi-hot":
                parts = tf.strings.split(values, SEPARATOR)
                parts = tf.ragged.boolean_mask(parts, tf.not_equal(parts, ""))
                rows = self.tables[feature.name].lookup(parts.values)
                embedded.append(embed(parts.with_values(rows)))
            else:
                embedded.append(embed(self.tables[feature.name].lookup(values)))
        return embedded


def input_name(prefix: str, side: str, feature: str) -> str:
    """`support_item_genre`, `query_item_genre`, `user_age`."""
    return f"{prefix}_{side}_{feature}" if prefix else f"{side}_{feature}"


def embed_pairs(
    items: FeatureInputs,
    users: FeatureInputs,
    embedding: FeaturePairEmbedding,
    inputs: Tensors,
    prefix: str,
) -> tf.Tensor:
    """Pair embeddings float32 [B, N, d] of item features [B, N] with the user's own [B]."""
    shape = tf.shape(next(inputs[name] for name in items.specs(prefix, 2)))  # [B, N]
    flat = tf.concat(items.embed(inputs, prefix), axis=-1)
    pairs = tf.reshape(flat, [shape[0], shape[1], embedding.item_dimension])
    own = users.embed(inputs, "")
    if not own:
        return pairs
    profile = tf.repeat(tf.concat(own, axis=-1)[:, None, :], shape[1], axis=1)
    return tf.concat([pairs, profile], axis=-1)
