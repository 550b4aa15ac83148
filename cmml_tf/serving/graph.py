"""The model as a server runs it: ids in, scores out, plain variables and tables, no Keras object.

The computation is the model's own, traced without training; only the variables and the lookup
tables are tracked, so that a SavedModel of this module holds neither Keras layers nor gradients.
"""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from cmml_tf.models.cmml import CMML
from cmml_tf.serving.request_checks import (
    Tensors,
    checked_context,
    checked_query,
    checked_support,
)
from cmml_tf.serving.vocabulary import Vocabulary, lookup_table
from cmml_tf.types import Support

SUPPORT_INPUTS = ("support_user_id", "support_item_id", "support_label", "support_length")
QUERY_INPUTS = ("query_user_id", "query_item_id")


class ServingGraph(tf.Module):
    """Answers requests by id. Shapes: B tasks, S support pairs, Q query pairs, D context.

    Ids are int64 or strings, as their vocabulary is; an unknown id has the zero embedding and is
    counted out in `support_known` and `query_known`. Pairs behind `support_length` are never read.
    A request that breaks a rule fails with InvalidArgument and a sentence that names the input.

    Args:
      model: A CMML whose weights exist; its variables are shared, not copied.
      users, items: Ids of the rows of the embedding tables.
      folder: Where the vocabulary files are written; they must stay until the module is saved.
    """

    def __init__(self, model: CMML, users: Vocabulary, items: Vocabulary, folder: Path) -> None:
        super().__init__()
        self.context_dimension = model.context_dimension
        self.user_id_dtype = users.dtype
        self.item_id_dtype = items.dtype
        self.unknown_user = len(users.lines)
        self.unknown_item = len(items.lines)
        users.write(folder / "user_ids.txt")
        items.write(folder / "item_ids.txt")
        self.user_rows = lookup_table(folder / "user_ids.txt", users.dtype, self.unknown_user)
        self.item_rows = lookup_table(folder / "item_ids.txt", items.dtype, self.unknown_item)
        self.weights = network_variables(model)
        # Plain functions are not tracked: the model's layers stay outside the SavedModel. Each
        # part is traced once and called by all signatures that need it.
        self._encode = _traced_once(model.encode_context)
        self._score = _traced_once(model.score_with_context)
        self._modulation = model.modulation

    def serving_default(self, **inputs: tf.Tensor) -> Tensors:
        """Support and query ids -> `score` float32 [B, Q], `query_known` bool [B, Q]."""
        inputs = checked_query(checked_support(inputs), "support_user_id")
        context, _ = self._encode_ids(inputs)
        return self._score_ids(context, inputs)

    def encode_context(self, **inputs: tf.Tensor) -> Tensors:
        """Support ids -> `context` float32 [B, D], `support_known` int32 [B]."""
        context, known = self._encode_ids(checked_support(inputs))
        return {"context": context, "support_known": known}

    def score_with_context(self, **inputs: tf.Tensor) -> Tensors:
        """`context` and query ids -> `score` float32 [B, Q], `query_known` bool [B, Q]."""
        inputs = checked_query(checked_context(inputs, self.context_dimension), "context")
        return self._score_ids(inputs["context"], inputs)

    def explain(self, **inputs: tf.Tensor) -> Tensors:
        """Support and query ids -> `score`, `context` and what the context sets in the backbone.

        The last depends on the modulation: `scale_l` and `shift_l`, or `route_l`, for each layer l
        from 1; or `output_weight` and `output_bias`. All are float32 [B, Q, ...], with 1 for Q
        where the hybrid context is none.
        """
        inputs = checked_query(checked_support(inputs), "support_user_id")
        context, _ = self._encode_ids(inputs)
        user, item, _ = self._rows(inputs["query_user_id"], inputs["query_item_id"])
        return {
            "score": self._score(context, user, item),
            "context": context,
            **self._modulation(context, user, item),
        }

    def _encode_ids(self, inputs: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [B, D], and how many support pairs have both ids known, int32 [B]."""
        user, item, known = self._rows(inputs["support_user_id"], inputs["support_item_id"])
        length = inputs["support_length"]
        valid = tf.sequence_mask(length, tf.shape(user)[1])  # [B, S]
        context = self._encode(Support(user, item, inputs["support_label"], length))
        context = tf.ensure_shape(context, [None, self.context_dimension])
        return context, tf.reduce_sum(tf.cast(known & valid, tf.int32), axis=1)

    def _score_ids(self, context: tf.Tensor, inputs: Tensors) -> Tensors:
        user, item, known = self._rows(inputs["query_user_id"], inputs["query_item_id"])
        return {"score": self._score(context, user, item), "query_known": known}

    def _rows(
        self, user_id: tf.Tensor, item_id: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Table rows of both, int64, and whether both are known, bool; all of the ids' shape."""
        user, item = self.user_rows.lookup(user_id), self.item_rows.lookup(item_id)
        return user, item, (user != self.unknown_user) & (item != self.unknown_item)


def _traced_once(method: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    traced = tf.function(method, autograph=False)
    return lambda *arguments: traced(*arguments)


def network_variables(model: CMML) -> list[tf.Variable]:
    """The variables that scores depend on: no optimiser, no metric."""
    layers = (model.pair_embedding, model.context_encoder, model.recommender)
    return [variable for layer in layers if layer is not None for variable in layer.variables]
