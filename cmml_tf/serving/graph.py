"""The model as a server runs it: ids in, scores out, plain variables and tables, no Keras object.

The computation is the model's own, traced without training; only the variables and the lookup
tables are tracked, so that a SavedModel of this module holds neither Keras layers nor gradients.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from cmml_tf.compiled_size import CompiledSize
from cmml_tf.layers.matching.match_context import MatchContext
from cmml_tf.models.cmml import CMML
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.request_limits import DEFAULT_LIMITS, RequestLimits
from cmml_tf.serving.catalogue.catalogue import Catalogue, RecommendOptions
from cmml_tf.serving.catalogue.support_items import SupportItems
from cmml_tf.serving.compiled import compiled_for
from cmml_tf.serving.id_keys import IdKeys
from cmml_tf.serving.requests.checks import checked_context, checked_support
from cmml_tf.serving.requests.examples import read_examples
from cmml_tf.serving.requests.rules import Tensors
from cmml_tf.serving.requests.task_groups import (
    in_groups,
    matched_some_at_a_time,
    tasks_at_a_time,
    traced_once,
)
from cmml_tf.serving.requests.valid_rows import answered
from cmml_tf.serving.requests.value_checks import Checked, Scale, valid_support
from cmml_tf.serving.served_tables import as_served
from cmml_tf.serving.vocabulary import Vocabulary, lookup_table
from cmml_tf.types import Support


class ServingGraph(tf.Module):
    """Answers requests by id. Shapes: B tasks, S support pairs, Q query pairs, D context.

    Ids are int64 or strings, as their vocabulary is; an unknown id has the zero embedding, though a
    model that matches by key tells it from others, and is counted out in `support_known`,
    `user_known`, `item_known` and `query_known` (both). Pairs behind `support_length` are never
    read. A request that breaks a rule fails with InvalidArgument and a sentence that names the
    input; but where only some of its tasks hold a wrong value, the others are answered, and the
    floats of those are NaN and `valid` false. Every signature but that of the Regress API answers
    with `valid` bool [B].

    Args:
      model: A CMML or MatchingCMML whose weights exist; its variables are shared, but for the
        tables of a MatchingCMML (`ServedTables`).
      users, items: Ids of the rows of the embedding tables.
      folder: Where the vocabulary files are written; they must stay until the module is saved.
      recommending: What `recommend` answers with.
      limits: The largest request that is admitted.
      scale: Lowest and highest support label; None where any finite number is one.
      compiled: Sizes for which contexts, and scores of query pairs, are compiled with XLA.
    """

    def __init__(
        self,
        model: CMML | MatchingCMML,
        users: Vocabulary,
        items: Vocabulary,
        folder: Path,
        recommending: RecommendOptions = RecommendOptions(),  # noqa: B008 - immutable
        limits: RequestLimits = DEFAULT_LIMITS,
        scale: Scale = None,
        compiled: Sequence[CompiledSize] = (),
    ) -> None:
        super().__init__()
        if isinstance(model, MatchingCMML):
            model = as_served(model)
        self.context_width = model.context_width
        self.limits = limits
        self.compiled = tuple(compiled)
        self._scale = scale
        # Matching reads which labels are positive; others compute with them.
        by_size = scale is None and not isinstance(model, MatchingCMML)
        self._unbounded = ["support_label"] if by_size else []
        self._may_recommend_refused = model.may_recommend_refused
        self.user_id_dtype = users.dtype
        self.user_ids_hashed = users.hashed
        self.item_id_dtype = items.dtype
        self.unknown_user = len(users.lines)
        self.unknown_item = len(items.lines)
        users.write(folder / "user_ids.txt")
        items.write(folder / "item_ids.txt")
        self.user_rows = lookup_table(folder / "user_ids.txt", users.dtype, self.unknown_user)
        self.item_rows = lookup_table(folder / "item_ids.txt", items.dtype, self.unknown_item)
        self._users = IdKeys(self.user_rows, self.unknown_user, model.by_key)
        self._items = IdKeys(self.item_rows, self.unknown_item, model.by_key)
        self.tables = list(model.id_tables.variables)
        tables = {id(table) for table in self.tables}
        self.weights = [one for one in scoring_variables(model) if id(one) not in tables]
        # Plain functions are not tracked: the model's layers stay outside the SavedModel. Each
        # part is traced once and called by all signatures that need it.
        adapt = traced_once(_adapt_of(model))
        score = traced_once(model.score_adapted)
        # All support pairs that a call may hold fit into memory; all query pairs do not.
        self._adapt = adapt if not compiled else _compiled_adapt(model, adapt, compiled)
        # What a loop is to run in order calls nothing (`version.loop_calls`).
        self._adapt_in_loop = _adapt_of(model) if model.by_key else self._adapt
        self._context_of = lambda adapted: model.context_of(adapted)
        self._adapted_of = lambda context: model.adapted_of(context)
        self._modulation: Callable[..., Tensors]
        self._answers: Callable[..., Tensors]
        if isinstance(model, MatchingCMML):
            matched = self._score = matched_some_at_a_time(score, MatchContext.pairs)
            matches = matched_some_at_a_time(model.matches, MatchContext.pairs, [3])
            self._modulation = lambda *query: {"matches": matches(*query)}
            self._answers = lambda *query: {"score": matched(*query)}
        else:
            self._score = _some_tasks_at_a_time(score)
            self._modulation = model.modulation
            self._answers = _answers_some_tasks_at_a_time(model, compiled)
        self.catalogue = Catalogue(model, adapt, items, recommending)

    def serving_default(self, **inputs: tf.Tensor) -> Tensors:
        """Support and query ids -> `score` float32 [B, Q] and which ids are known, bool [B, Q].

        A model that says more has each of its `answer_names`, float32 [B, Q].
        """
        inputs, valid = self._checked(inputs)
        adapted, _ = self._adapt_ids(inputs)
        return answered(self._score_ids(adapted, inputs), valid, self._unbounded)

    def encode_context(self, **inputs: tf.Tensor) -> Tensors:
        """Support ids -> `context` float32 [B, D], `support_known` int32 [B].

        D is `context_width.task`, and `context_width.pair` more for each of the S pairs. A task
        that is not valid has 0 known pairs.
        """
        inputs, valid = self._checked(inputs)
        adapted, known = self._adapt_ids(inputs)
        encoded = {"context": self._context_of(adapted), "support_known": known}
        # Of a task found not valid by its answer alone the pairs have been counted.
        nothing = {"support_known": tf.zeros([], known.dtype)} if self._unbounded else None
        return answered(encoded, valid, self._unbounded, nothing)

    def score_with_context(self, **inputs: tf.Tensor) -> Tensors:
        """`context` and query ids -> `score` and which ids are known, as `serving_default`.

        A context may be filled up, with any finite numbers, to the width of a larger support.
        """
        inputs, valid = checked_context(inputs, self.limits, self.context_width)
        scored = self._score_ids(self._adapted_of(inputs["context"]), inputs)
        return answered(scored, valid, numbers=["context"])

    def explain(self, **inputs: tf.Tensor) -> Tensors:
        """Support and query ids -> `score`, `context` and what the context sets in the backbone.

        The last depends on the modulation: `scale_l` and `shift_l`, or `route_l`, for each layer l
        from 1; or `output_weight` and `output_bias`; a closed-form head adds `ridge_weight`; of a
        model that matches by key it is `matches`, how often the support took the pair's item,
        refused it, and has its user take anything. All are float32 [B, Q, ...], with 1 for Q where
        they are the same for all pairs of a task.
        """
        # The answer is the larger part of the memory, and cannot be computed a part at a time.
        inputs, valid = self._checked(inputs, query_limit=self.limits.query_pairs)
        adapted, _ = self._adapt_ids(inputs)
        user, item = self._users(inputs["query_user_id"]), self._items(inputs["query_item_id"])
        explained = {
            "score": self._score(adapted, user.key, item.key),
            "context": self._context_of(adapted),
            **self._modulation(adapted, user.key, item.key),
        }
        return answered(explained, valid, self._unbounded)

    def recommend(self, **inputs: tf.Tensor) -> Tensors:
        """Support ids and `user_id` [B] -> `item_id` [B, K], `score` float32 [B, K], best first.

        Items are those of the catalogue without the user's own support positives (label above 0);
        where the model matches by key, items of the support that the export does not know as well.
        A model of the ranking setting leaves out own support items of any label.
        See `Catalogue.best` for a user who has taken nearly all. A task that is not valid gets no
        item: empty ids (strings) or -1.
        """
        inputs, valid = self._checked(inputs)

        def ranked(
            user_id: tf.Tensor,
            support_user_id: tf.Tensor,
            support_item_id: tf.Tensor,
            length: tf.Tensor,
            label: tf.Tensor,
        ) -> tuple[tf.Tensor, tf.Tensor]:
            item = self._items(support_item_id)
            user = self._users(support_user_id)
            adapted = self._adapt_in_loop(user.key, item.key, label, length)
            given = self.catalogue.read(adapted, item.key, label, length)
            read = tf.sequence_mask(length, tf.shape(label)[1])
            # By id, not by row: users who are unknown to the model have taken things too.
            own = read & (support_user_id == user_id[:, None])
            if self._may_recommend_refused:
                own &= label > 0
            support = SupportItems(support_item_id, *item, read, own)
            return self.catalogue.best(given, self._users(user_id).key, support)

        sides = ("user_id", "item_id", "length", "label")
        given = [inputs["user_id"], *(inputs[f"support_{side}"] for side in sides)]
        item_id, score = self.catalogue.some_at_a_time(ranked, given)
        best = {"item_id": item_id, "score": score}
        return answered(best, valid, self._unbounded, {"item_id": self.catalogue.nothing})

    def serving_tf_example(self, inputs: tf.Tensor) -> Tensors:
        """Serialized Examples [N] -> `outputs` float32 [N], the score of each one's query pair.

        See `examples` for their features. A support that several share is encoded once. The API
        has one output only: NaN says that an Example is not valid.
        """
        read = read_examples(inputs, self.user_id_dtype, self.item_id_dtype, self.limits)
        request, valid = valid_support(read, self._scale)
        adapted = self._adapt_each_once(request)
        score = tf.squeeze(self._score_ids(adapted, request)["score"], axis=1)
        return {"outputs": answered({"outputs": score}, valid, self._unbounded)["outputs"]}

    def _checked(self, inputs: Tensors, query_limit: int | None = None) -> Checked:
        return checked_support(inputs, self.limits, self._scale, query_limit)

    def _adapt_each_once(self, inputs: Tensors) -> Any:
        """What the model becomes for N supports; what equal ones share is computed once."""
        user = self._users(inputs["support_user_id"]).key
        item = self._items(inputs["support_item_id"]).key
        label = tf.cast(tf.bitcast(inputs["support_label"], tf.int32), tf.int64)
        length = tf.cast(inputs["support_length"], tf.int64)[:, None]
        support = tf.concat([user, item, label, length], axis=1)  # [N, 3 S + 1]
        different, which = tf.raw_ops.UniqueV2(x=support, axis=[0])
        S = tf.shape(user)[1]
        user, item, label, length = tf.split(different, tf.stack([S, S, S, 1]), axis=1, num=4)
        label = tf.bitcast(tf.cast(label, tf.int32), tf.float32)
        length = tf.cast(tf.squeeze(length, axis=1), tf.int32)
        adapted = self._adapt(user, item, label, length)
        return tf.nest.map_structure(lambda one: tf.gather(one, which), adapted)

    def _adapt_ids(self, inputs: Tensors) -> tuple[Any, tf.Tensor]:
        """What the model becomes, and how many support pairs have both ids known, int32 [B]."""
        user, item = self._users(inputs["support_user_id"]), self._items(inputs["support_item_id"])
        length = inputs["support_length"]
        valid = tf.sequence_mask(length, tf.shape(user.key)[1])  # [B, S]
        adapted = self._adapt(user.key, item.key, inputs["support_label"], length)
        known = user.known & item.known & valid
        return adapted, tf.reduce_sum(tf.cast(known, tf.int32), axis=1)

    def _score_ids(self, adapted: Any, inputs: Tensors) -> Tensors:
        user, item = self._users(inputs["query_user_id"]), self._items(inputs["query_item_id"])
        return {
            **self._answers(adapted, user.key, item.key),
            **which_known(user.known, item.known),
        }


def which_known(user: tf.Tensor, item: tf.Tensor) -> Tensors:
    """The outputs that say which users and items of query pairs the export knows, bool [B, Q]."""
    return {"user_known": user, "item_known": item, "query_known": user & item}


def _some_tasks_at_a_time(score: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """The same function of tensors [B, ...], of which the second is [B, Q]; its answer too."""
    several = _several_some_tasks_at_a_time(lambda *part: (score(*part),), 1)
    return lambda *arguments: several(*arguments)[0]


def _adapt_of(model: CMML | MatchingCMML) -> Callable[..., Any]:
    """`model.adapt`, of support fields."""
    return lambda *support: model.adapt(Support(*support))


def _compiled_adapt(
    model: CMML | MatchingCMML, adapt: Callable[..., Any], compiled: Sequence[CompiledSize]
) -> Callable[..., Any]:
    sizes = [(size.tasks, size.support_pairs) for size in compiled]
    return compiled_for(_adapt_of(model), adapt, sizes, [0, 1, 2], False)


def _answers_some_tasks_at_a_time(
    model: CMML, compiled: Sequence[CompiledSize]
) -> Callable[..., Tensors]:
    """`model.answers`."""
    names = model.answer_names
    answers = tf.function(model.answers, autograph=False)

    def listed(*part: tf.Tensor) -> tuple[tf.Tensor, ...]:
        found = answers(*part)
        return tuple(found[name] for name in names)

    several = _several_some_tasks_at_a_time(listed, len(names))
    if compiled:
        sizes = [(size.tasks, size.query_pairs) for size in compiled]
        several = compiled_for(listed, several, sizes, [1, 2], True)
    return lambda *arguments: dict(zip(names, several(*arguments), strict=True))


def _several_some_tasks_at_a_time(
    function: Callable[..., tuple[tf.Tensor, ...]], count: int
) -> Callable[..., tuple[tf.Tensor, ...]]:
    def grouped(*arguments: tf.Tensor) -> tuple[tf.Tensor, ...]:
        size = tasks_at_a_time(tf.shape(arguments[1])[1])
        answers = [tf.TensorSpec([None, None], tf.float32)] * count
        return in_groups(function, arguments, size, answers)

    return grouped


def scoring_variables(model: CMML | MatchingCMML) -> list[tf.Variable]:
    """`network_variables`, and those of label features."""
    label_features = getattr(model, "label_features", None)
    return network_variables(model) + (label_features.variables if label_features else [])


def network_variables(model: CMML | MatchingCMML) -> list[tf.Variable]:
    """The variables that scores depend on: no optimiser, no metric."""
    layers = (model.id_tables, *model.parts)
    variables = [variable for layer in layers for variable in layer.variables]
    # Parts may share a layer.
    return list({id(variable): variable for variable in variables}.values())
