"""How a system is asked: it adapts to a support set, then scores pairs with what it became.

One interface for trained models, simple references and served models, so that the evaluation of
each setting is written once.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.types import Support

PAIRS_PER_CALL = 65_536


class Scorer(Protocol):
    """A system under evaluation. Shapes: B tasks, S support pairs, Q query pairs."""

    @property
    def reads_support(self) -> bool:
        """Whether scores depend on the support; one that does not is asked once for all."""

    def adapt(self, support: Support) -> Any:
        """What the system becomes after reading the support of B tasks ([B, S], as arrays)."""

    def score(self, adapted: Any, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Rows int32 [B, Q] of users and items -> scores, float [B, Q]."""


@runtime_checkable
class GridScorer(Scorer, Protocol):
    """A system that scores every item of one task for every user at once. U users, I items."""

    def score_grid(self, adapted: Any, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Rows int32 [U] and [I], each once, of a single adapted task -> scores, float [U, I]."""


@runtime_checkable
class AnsweringScorer(Scorer, Protocol):
    """A system that says more of a pair than its score."""

    def answers(self, adapted: Any, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        """Arguments of `score` -> float [B, Q] each, by name, `score` among them."""


def graph(method: Callable[..., Any], *specs: Any) -> Any:
    """A function of tensors of these specs, as an export has it: without loops in Python."""
    # To look for loops takes longer than to trace.
    return tf.function(method, input_signature=specs, autograph=False)


class ModelScorer:
    """Scores with a model that adapts: once a task, then a grid or any pairs in few graph calls.

    Args:
      model: The model; its current weights are read at each call.
      tasks: B of every call; None: any number.
    """

    def __init__(self, model: AdaptingModel, tasks: int | None = None) -> None:
        self.reads_support = model.reads_support
        self._ids = tf.int64 if model.by_key else tf.int32
        ids = tf.TensorSpec([tasks, None], self._ids)
        label, length = tf.TensorSpec([tasks, None]), tf.TensorSpec([tasks], tf.int32)
        support = Support(ids, ids, label, length)

        # In few tensors: each costs a call of a graph more than it does in the graph.
        self._adapt = graph(lambda one: model.context_of(model.adapt(one)), support)
        context = self._adapt.get_concrete_function().structured_outputs
        spec = tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), context)

        def of_pairs(method: Callable[..., Any]) -> Any:
            return graph(lambda one, *pairs: method(model.adapted_of(one), *pairs), spec, ids, ids)

        self._score = of_pairs(model.score_adapted)
        self._grid = of_pairs(model.score_grid)
        self._answers = of_pairs(model.answers)

    def adapt(self, support: Support) -> Any:
        """What the model becomes: a nest of tensors with a leading axis B, or `()`."""
        user, item = (tf.constant(ids, self._ids) for ids in (support.user, support.item))
        return self._adapt(Support(user, item, *map(tf.constant, support[2:])))

    def score(self, adapted: Any, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float32 [B, Q]."""
        return self._score(adapted, *self._rows(user, item)).numpy()

    def score_grid(self, adapted: Any, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float32 [U, I], of a single adapted task; some users at a time."""
        each = math.ceil(PAIRS_PER_CALL / len(items))
        parts = [
            self._grid(adapted, *self._rows(users[None, first : first + each], items[None])).numpy()
            for first in range(0, len(users), each)
        ]
        return np.concatenate(parts, axis=1)[0]

    def answers(self, adapted: Any, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        """All that the model says, by name, float32 [B, Q] each; `score` among them."""
        found = self._answers(adapted, *self._rows(user, item))
        return {name: one.numpy() for name, one in found.items()}

    def _rows(self, user: np.ndarray, item: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.constant(user, self._ids), tf.constant(item, self._ids)


def grid_of(scorer: Scorer, adapted: Any, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """float [U, I]: each item for each user, of a single adapted task; rows int32 [U] and [I]."""
    if isinstance(scorer, GridScorer):
        return scorer.score_grid(adapted, users, items)
    each = math.ceil(PAIRS_PER_CALL / len(items))
    scores = []
    for first in range(0, len(users), each):
        some = users[first : first + each]
        pairs = np.repeat(some, len(items))[None], np.tile(items, len(some))[None]
        scores.append(scorer.score(adapted, *pairs).reshape(len(some), len(items)))
    return np.concatenate(scores)


def answers_of(
    scorer: Scorer, adapted: Any, user: np.ndarray, item: np.ndarray
) -> dict[str, np.ndarray]:
    """All that a system says of pairs, by name; of one that has no more to say its `score`."""
    if isinstance(scorer, AnsweringScorer):
        return scorer.answers(adapted, user, item)
    return {"score": scorer.score(adapted, user, item)}
