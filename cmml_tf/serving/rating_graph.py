"""The user setting's model as a server runs it: by id, and by features alone."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from cmml_tf.models.cmml import CMML
from cmml_tf.serving.feature_inputs import FeatureInputs, embed_pairs
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.request_checks import Tensors, checked_features, checked_ratings
from cmml_tf.serving.signatures import serving_signatures
from cmml_tf.serving.vocabulary import Vocabulary
from cmml_tf.types import Support

FEATURE_SIGNATURE = "score_features"


class RatingServingGraph(ServingGraph):
    """`ServingGraph` whose labels are ratings, and whose users and items may be described.

    By id, the features come from the catalogues that the model was trained with; an unknown user or
    item has no multi-hot value and the unknown value of every other feature.

    Args:
      model: A CMML whose pair embedding is a `FeaturePairEmbedding`.
      users, items: Ids of the catalogues' rows.
      folder: Where the vocabulary files are written; they must stay until the module is saved.
      scale: Lowest and highest rating; a support rating outside is refused.
    """

    def __init__(
        self,
        model: CMML,
        users: Vocabulary,
        items: Vocabulary,
        folder: Path,
        scale: tuple[float, float],
    ) -> None:
        super().__init__(model, users, items, folder)
        embedding = model.pair_embedding
        self.item_inputs = FeatureInputs("item", embedding.item_fields, folder)
        self.user_inputs = FeatureInputs("user", embedding.user_fields, folder)
        if isinstance(model.label_features, tf.keras.layers.Layer):
            self.label_weights = list(model.label_features.variables)
        encode = self._encode
        self._encode = lambda support: encode(_on_scale(support, scale))
        self._scale = scale
        self._encode_pairs, self._score_pairs = model.encode_pairs, model.score_pairs
        self._embed = lambda inputs, prefix: embed_pairs(
            self.item_inputs, self.user_inputs, embedding, inputs, prefix
        )

    def score_features(self, **inputs: tf.Tensor) -> Tensors:
        """Pairs by their features -> `score` float32 [B, Q], `context` float32 [B, D].

        Inputs: `support_item_<feature>` [B, S], `support_label` [B, S], `support_length` [B],
        `query_item_<feature>` [B, Q] and `user_<feature>` [B], the profile of the task's user.
        """
        inputs = checked_features(
            inputs,
            list(self.item_inputs.specs("support", 2)),
            list(self.item_inputs.specs("query", 2)),
            list(self.user_inputs.specs("", 1)),
        )
        length = inputs["support_length"]
        label = checked_ratings(inputs["support_label"], length, *self._scale)
        context = self._encode_pairs(self._embed(inputs, "support"), label, length)
        return {
            "score": self._score_pairs(context, self._embed(inputs, "query")),
            "context": context,
        }

    def example_features(self, B: int, S: int, Q: int) -> dict[str, np.ndarray]:
        """Inputs of `score_features` with known values, beside `support_label` and its length."""
        return {
            **self.item_inputs.examples("support", [B, S]),
            **self.item_inputs.examples("query", [B, Q]),
            **self.user_inputs.examples("", [B]),
        }


def rating_signatures(graph: RatingServingGraph) -> dict[str, tf.types.experimental.Callable]:
    """The concrete functions of a graph's signatures, by name, for `tf.saved_model.save`."""
    specs = {
        **graph.item_inputs.specs("support", 2),
        "support_label": tf.TensorSpec([None, None], tf.float32),
        "support_length": tf.TensorSpec([None], tf.int32),
        **graph.item_inputs.specs("query", 2),
        **graph.user_inputs.specs("", 1),
    }
    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}
    traced = tf.function(graph.score_features, autograph=False).get_concrete_function(**named)
    return {**serving_signatures(graph), FEATURE_SIGNATURE: traced}


def _on_scale(support: Support, scale: tuple[float, float]) -> Support:
    return support._replace(label=checked_ratings(support.label, support.length, *scale))
