"""A model that matches by key as a server runs it: by id, and by features where ids are unknown."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.content.encoder import ContentEncoder
from cmml_tf.layers.matching.match_context import MatchContext
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.request_limits import DEFAULT_LIMITS, RequestLimits
from cmml_tf.serving.catalogue.catalogue import RecommendOptions
from cmml_tf.serving.graph import ServingGraph, which_known
from cmml_tf.serving.requests.checks import checked_features
from cmml_tf.serving.requests.content_inputs import ContentInputs
from cmml_tf.serving.requests.rules import Tensors
from cmml_tf.serving.requests.task_groups import (
    in_a_loop,
    matched_some_at_a_time,
    tasks_at_a_time,
    traced_once,
)
from cmml_tf.serving.requests.valid_rows import answered
from cmml_tf.serving.requests.value_checks import Scale
from cmml_tf.serving.served_tables import as_served
from cmml_tf.serving.vocabulary import Vocabulary

SIDES = ("user", "item")


@dataclass(frozen=True)
class SideContent:
    """What makes rows of a table of features, for ids that the table does not have.

    Attributes:
      encoder: Features to content c.
      map: float32 [c + 1, width of the table]: a row is [content, 1] @ map.

    Raises:
      ValueError: The map has another number of rows, or holds a number that is not finite.
    """

    encoder: ContentEncoder
    map: np.ndarray

    def __post_init__(self) -> None:
        rows = self.encoder.dimension + 1
        if self.map.ndim != 2 or len(self.map) != rows:
            raise ValueError(
                f"`map` must have {rows} rows, one for each number of the content and one for 1. "
                f"Received: shape {self.map.shape}."
            )
        if not np.isfinite(self.map).all():
            raise ValueError("`map` must be finite. Received: NaN or infinite values.")


@dataclass(frozen=True)
class ServedContent:
    """Content of users and items that an export does not know; None where a side has no features.

    Raises:
      ValueError: Neither side has any.
    """

    user: SideContent | None = None
    item: SideContent | None = None

    def __post_init__(self) -> None:
        if self.user is None and self.item is None:
            raise ValueError("`content` must be of users, items or both. Received: neither.")

    def check(self, model: MatchingCMML) -> None:
        """Raises ValueError where a map does not fit the model's tables."""
        for side in SIDES:
            content: SideContent | None = getattr(self, side)
            width = getattr(model.tables, f"{side}_width")
            if content is not None and content.map.shape[1] != width:
                raise ValueError(
                    f"`content` must make rows of the {side} table, of {width} numbers. "
                    f"Received: a map to {content.map.shape[1]}."
                )

    def declared(self) -> dict[str, list[dict[str, Any]]]:
        """The features of items and users as people and clients read them."""
        declared: dict[str, list[dict[str, Any]]] = {}
        for side in SIDES:
            content: SideContent | None = getattr(self, side)
            declared[side] = [
                {"name": one.name, "kind": one.kind} | ({"width": one.width} if one.width else {})
                for one in (content.encoder.features if content else ())
            ]
        return declared


class _Described(NamedTuple):
    """Key int64 [b, n], whether the export knows the id, and row float32 [b, n, width]."""

    key: tf.Tensor
    known: tf.Tensor
    row: tf.Tensor


class ContentServingGraph(ServingGraph):
    """`ServingGraph` that takes features beside ids, and reads them where it does not know the id.

    Args:
      model: A MatchingCMML.
      users, items, folder, recommending, limits, scale: As of `ServingGraph`.
      content: What makes rows of features.
    """

    def __init__(
        self,
        model: MatchingCMML,
        users: Vocabulary,
        items: Vocabulary,
        folder: Path,
        content: ServedContent,
        recommending: RecommendOptions = RecommendOptions(),  # noqa: B008 - immutable
        limits: RequestLimits = DEFAULT_LIMITS,
        scale: Scale = None,
    ) -> None:
        model = as_served(model)
        super().__init__(model, users, items, folder, recommending, limits, scale)
        self.content_inputs: dict[str, ContentInputs] = {}
        self.content_maps: dict[str, tf.Variable] = {}
        for side in SIDES:
            one: SideContent | None = getattr(content, side)
            if one is not None:
                self.content_inputs[side] = ContentInputs(side, one.encoder)
                self.content_maps[side] = tf.Variable(one.map, trainable=False, dtype=tf.float32)
        self._keys = {"user": self._users, "item": self._items}
        self._table_rows = {"user": model.tables.user_rows, "item": model.tables.item_rows}
        self._seen = model.tables.seen
        self._adapt_rows = traced_once(model.adapt_rows)
        self._score_rows = matched_some_at_a_time(traced_once(model.score_rows), MatchContext.pairs)

    def score_features(self, **inputs: tf.Tensor) -> Tensors:
        """Pairs by id and features -> `score` float32 [B, Q] and which ids are known, bool [B, Q].

        Inputs: those of `serving_default`, and `support_item_<feature>`, `support_user_<feature>`
        [B, S], `query_item_<feature>`, `query_user_<feature>` [B, Q], which are read where the id
        is not known. A vector has one axis more.
        """
        names = [*inputs]
        numbers, vectors = self._numbers()
        support, query = ([n for n in names if n.startswith(p)] for p in ("support", "query"))
        support = [n for n in support if n not in ("support_label", "support_length")]
        sides = {"support": support, "query": query, "user": []}
        inputs, valid = checked_features(inputs, self.limits, self._scale, sides, numbers)

        def score(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
            part = dict(zip(names, values, strict=True))
            label, length = part["support_label"], part["support_length"]
            user, item = (self._described(side, part, "support") for side in SIDES)
            read = tf.sequence_mask(length, tf.shape(label)[1])[..., None]
            # What is not read may hold anything.
            user_row, item_row = tf.where(read, user.row, 0.0), tf.where(read, item.row, 0.0)
            adapted = self._adapt_rows(user.key, item.key, user_row, item_row, label, length)
            user, item = (self._described(side, part, "query") for side in SIDES)
            scores = self._score_rows(adapted, user.key, item.key, user.row, item.row)
            return scores, user.known, item.known

        S, Q = tf.shape(inputs["support_label"])[1], tf.shape(inputs["query_item_id"])[1]
        specs = [tf.TensorSpec([None, None], t) for t in (tf.float32, tf.bool, tf.bool)]
        values = [inputs[name] for name in names]
        scores, user, item = in_a_loop(score, values, tasks_at_a_time(tf.maximum(S, Q)), specs)
        return answered({"score": scores, **which_known(user, item)}, valid, numbers=vectors)

    def _described(self, side: str, inputs: Tensors, prefix: str) -> _Described:
        """Ids [b, n] with rows of the table where it knows them, else of their content."""
        key, known = self._keys[side](inputs[f"{prefix}_{side}_id"])
        row = self._table_rows[side](key)
        if side in self.content_inputs:
            content = self.content_inputs[side].encode(inputs, prefix)
            table = self.content_maps[side]
            of_content = self._seen[side](tf.matmul(content, table[:-1]) + table[-1])
            of_content = tf.reshape(of_content, tf.shape(row))
            row = tf.where(known[..., None], row, of_content)
        return _Described(key, known, row)

    def _numbers(self) -> tuple[dict[str, tuple[float, float]], list[str]]:
        """What each input of numbers accepts, and the names of those that are vectors."""
        numbers: dict[str, tuple[float, float]] = {}
        vectors = []
        for one in self.content_inputs.values():
            for prefix in ("support", "query"):
                numbers |= one.accepted_numbers(prefix)
                specs = one.specs(prefix, 2)
                vectors += [name for name, spec in specs.items() if spec.shape.rank == 3]
        return numbers, vectors

    def feature_specs(self) -> dict[str, tf.TensorSpec]:
        """Names, types and shapes of the inputs with features."""
        return {
            name: spec
            for one in self.content_inputs.values()
            for prefix in ("support", "query")
            for name, spec in one.specs(prefix, 2).items()
        }

    def example_features(self, B: int, S: int, Q: int) -> dict[str, np.ndarray]:
        """Known values of the inputs with features."""
        return {
            name: value
            for one in self.content_inputs.values()
            for prefix, n in (("support", S), ("query", Q))
            for name, value in one.examples(prefix, [B, n]).items()
        }
