"""A model of described users and items as a server runs it: by id, and by features alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.compiled_size import CompiledSize
from cmml_tf.models.cmml import CMML
from cmml_tf.request_limits import DEFAULT_LIMITS, RequestLimits
from cmml_tf.serving.catalogue.catalogue import RecommendOptions
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.requests.checks import checked_features
from cmml_tf.serving.requests.feature_inputs import SEPARATOR, FeatureInputs, embed_pairs
from cmml_tf.serving.requests.rules import Tensors
from cmml_tf.serving.requests.task_groups import in_a_loop, tasks_at_a_time
from cmml_tf.serving.requests.valid_rows import answered
from cmml_tf.serving.requests.value_checks import Scale
from cmml_tf.serving.signatures import FEATURE_SIGNATURE
from cmml_tf.serving.vocabulary import Vocabulary


class FeatureServingGraph(ServingGraph):
    """`ServingGraph` whose users and items may be described instead of named (user setting).

    By id, the features come from the catalogues that the model was trained with; an unknown user or
    item has no multi-hot value and the unknown value of every other feature.

    Args:
      model: A CMML whose pair embedding is a `FeaturePairEmbedding`.
      users, items: Ids of the catalogues' rows.
      folder: Where the vocabulary files are written; they must stay until the module is saved.
      recommending: What `recommend` answers with.
      limits: The largest request that is admitted.
      scale: Lowest and highest support label; None where any finite number is one.
      user_id_key: The key of `users`, where they are hashed.
      compiled: As of `ServingGraph`; scores by features are not compiled.
    """

    def __init__(
        self,
        model: CMML,
        users: Vocabulary,
        items: Vocabulary,
        folder: Path,
        recommending: RecommendOptions = RecommendOptions(),  # noqa: B008 - immutable
        limits: RequestLimits = DEFAULT_LIMITS,
        scale: Scale = None,
        user_id_key: bytes | None = None,
        compiled: Sequence[CompiledSize] = (),
    ) -> None:
        super().__init__(model, users, items, folder, recommending, limits, scale, compiled)
        embedding = model.pair_embedding
        self.item_inputs = FeatureInputs("item", embedding.item_fields, folder)
        self.user_inputs = FeatureInputs("user", embedding.user_fields, folder, user_id_key)
        self._features = scale, *_named(self.item_inputs, self.user_inputs)
        self._encode_pairs, self._score_pairs = model.encode_pairs, model.score_pairs
        self._embed = lambda inputs, prefix: embed_pairs(
            self.item_inputs, self.user_inputs, embedding, inputs, prefix
        )

    def score_features(self, **inputs: tf.Tensor) -> Tensors:
        """Pairs by their features -> `score` float32 [B, Q], `context` float32 [B, D].

        Inputs: `support_item_<feature>` [B, S], `support_label` [B, S], `support_length` [B],
        `query_item_<feature>` [B, Q] and `user_<feature>` [B], the profile of the task's user.
        """
        names = [*inputs]
        inputs, valid = checked_features(inputs, self.limits, *self._features)

        def score(*values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            part = dict(zip(names, values, strict=True))
            length, label = part["support_length"], part["support_label"]
            context = self._encode_pairs(self._embed(part, "support"), label, length)
            return self._score_pairs(context, self._embed(part, "query")), context

        pairs = tf.reduce_max([tf.shape(inputs[name])[-1] for name in names])
        values = [inputs[name] for name in names]
        answers = [
            tf.TensorSpec([None, width], tf.float32) for width in (None, self.context_width.task)
        ]
        scores, context = in_a_loop(score, values, tasks_at_a_time(pairs), answers)
        return answered({"score": scores, "context": context}, valid)

    def example_features(self, B: int, S: int, Q: int) -> dict[str, np.ndarray]:
        """Inputs of `score_features` with known values, beside `support_label` and its length."""
        return {
            **self.item_inputs.examples("support", [B, S]),
            **self.item_inputs.examples("query", [B, Q]),
            **self.user_inputs.examples("", [B]),
        }


def feature_signature(graph: FeatureServingGraph) -> dict[str, Any]:
    """The concrete function of `score_features`, by name, for `tf.saved_model.save`."""
    specs = {
        **graph.item_inputs.specs("support", 2),
        "support_label": tf.TensorSpec([None, None], tf.float32),
        "support_length": tf.TensorSpec([None], tf.int32),
        **graph.item_inputs.specs("query", 2),
        **graph.user_inputs.specs("", 1),
    }
    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}
    traced = tf.function(graph.score_features, autograph=False).get_concrete_function(**named)
    return {FEATURE_SIGNATURE: traced}


def declared_features(model: CMML) -> dict[str, list[dict[str, Any]]]:
    """The features of items and users as people and clients read them."""
    declared: dict[str, list[dict[str, Any]]] = {}
    for side in ("item", "user"):
        declared[side] = []
        for field in getattr(model.pair_embedding, f"{side}_fields"):
            feature = field.feature
            entry: dict[str, Any] = {"name": feature.name, "kind": feature.kind}
            if feature.kind == "numeric":
                entry |= {"mean": feature.mean, "deviation": feature.deviation}
            else:
                entry["values"] = len(feature.vocabulary)
            if feature.kind == "multi-hot":
                entry["separator"] = SEPARATOR
            declared[side].append(entry)
    return declared


def _named(
    items: FeatureInputs, users: FeatureInputs
) -> tuple[dict[str, list[str]], dict[str, tuple[float, float]]]:
    """The inputs with features, by what they belong to, and the numbers that they accept."""
    support, query = (list(items.specs(prefix, 2)) for prefix in ("support", "query"))
    numbers = [items.accepted_numbers("support"), items.accepted_numbers("query")]
    numbers.append(users.accepted_numbers(""))
    names = {"support": support, "query": query, "user": list(users.specs("", 1))}
    return names, {name: ends for part in numbers for name, ends in part.items()}
