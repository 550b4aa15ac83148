"""Which items of a large catalogue are worth scoring: the model's own scores, foretold.

A score is computed for R reference items, chosen once from the catalogue, for the very context and
user that are asked. A ridge regression of these scores on columns x of the items foretells the
others:

  w = (A'A + p I)^-1 A' s,   score of item i ~ <w, x_i>,

A the columns of the reference items less their mean, s their scores, p the mean square of a number
in A. All but s is known when the model is exported, so that a request costs R scores, a small
product, and one product of w with the table of columns. What the context changes is in s: nothing
here knows how a model reads it. Reference items are scored as if no support named them.

A model whose columns are many is asked for sample tasks first: of all directions in which items
differ, those are kept that its scores are made of.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.models.cmml import CMML
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.serving.catalogue.narrowing_recall import SampleTasks

ScoreApart = Callable[[Any, tf.Tensor, tf.Tensor], tf.Tensor]
"""What the model becomes, user rows int64 [B], item rows int64 [1, R] -> float32 [B, R]."""

_REFERENCES = 256
# Of the columns' variance, in so many components at the most, and of what is foretold of them.
_EXPLAINED, _WIDEST, _FORETOLD = 0.99, 64, 0.999
_MORE_USERS = 4
_BLOCK = 16_384


class Narrowing(tf.Module):
    """Foretells the scores of all I items.

    Args:
      model: A model whose weights exist.
      items: I.
      score_apart: Its scores of items, as if no support named them.
      sample: Tasks whose scores tell which directions matter.
      adapt: Support fields to what the model becomes.
      further: float32 [I + 1, K], columns beside the model's own; None: there are none.

    Attributes:
      candidates: How many items it keeps.
      references: R.
    """

    candidates: int

    def __init__(
        self,
        model: CMML | MatchingCMML,
        items: int,
        score_apart: ScoreApart,
        sample: SampleTasks,
        adapt: Callable[..., Any],
        further: tf.Variable | None = None,
    ) -> None:
        super().__init__()
        self._score_apart = score_apart
        if isinstance(model.id_tables, PairEmbedding):
            # As it is, and no table of its own beside it.
            self.columns = model.id_tables.item_table
            self._rows = _references(self.columns.numpy(), items)[None]
        else:
            columns = _columns(model, items, further)
            self._rows = _references(columns, items)[None]
            solution = _solution(columns[self._rows[0]])
            weights = [scores @ solution for scores in self._samples(sample, adapt)]
            directions = _directions(columns[:items].std(axis=0), np.concatenate(weights))
            self.columns = tf.Variable(columns @ directions, trainable=False)
        self.references = self._rows.shape[1]
        solution = _solution(tf.gather(self.columns, self._rows[0]).numpy())
        self.solution = tf.Variable(solution, trainable=False)  # [R, width]

    def _samples(self, sample: SampleTasks, adapt: Callable[..., Any]) -> Iterator[np.ndarray]:
        """Scores float32 [1, R] of the reference items, of asked and more users in sample tasks."""
        rows, rng = tf.constant(self._rows, tf.int64), np.random.default_rng(0)
        score = tf.function(self._score_apart, autograph=False)
        for number in range(len(sample.user)):
            support, user = sample.task(number)
            adapted = adapt(*support)
            others = rng.choice(sample.support.user.reshape(-1), _MORE_USERS)
            for one in (user, *tf.constant(others[:, None], tf.int64)):
                yield score(adapted, one, rows).numpy()

    def __call__(self, adapted: Any, user: tf.Tensor) -> tf.Tensor:
        """What the model becomes, user rows int64 [B] -> float32 [B, I + 1], up to a number a task.

        The last column is of no item.
        """
        # As a constant of the graph: what a model makes of them alone is computed once.
        rows = tf.constant(self._rows, tf.int64)
        weights = tf.matmul(self._score_apart(adapted, user, rows), self.solution)
        # The table as it is, read without a copy.
        return tf.matmul(weights, self.columns, transpose_b=True)


def _solution(reference: np.ndarray) -> np.ndarray:
    """What the weights are of the scores, float32 [R, width], for the reference items' columns."""
    reference = reference.astype(np.float64)
    reference -= reference.mean(axis=0)
    penalty = max(np.square(reference).mean(), 1e-12)
    left = reference.T @ reference + penalty * np.eye(reference.shape[1])
    return np.linalg.solve(left, reference.T).T.astype(np.float32)


def _directions(deviation: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float32 [width, r]: combinations of columns, of variance 1, that scores are made of.

    Args:
      deviation: [width], of the columns, which are not correlated.
      weights: [T, width], what scores are of them.
    """
    of_scores = weights * deviation
    of_scores /= np.maximum(np.linalg.norm(of_scores, axis=1, keepdims=True), 1e-12)
    _, size, directions = np.linalg.svd(of_scores, full_matrices=False)
    shares = np.cumsum(np.square(size)) / max(np.square(size).sum(), 1e-12)
    kept = min(int(np.searchsorted(shares, _FORETOLD)) + 1, len(shares))
    return (directions[:kept] / np.maximum(deviation, 1e-12)).T.astype(np.float32)


def _references(columns: np.ndarray, items: int) -> np.ndarray:
    """int64 [R] rows: half of them at random, half with the largest columns, which tell most."""
    size = np.square(columns[:items]).sum(axis=1)
    half = min(_REFERENCES // 2, items)
    largest = np.argsort(-size, kind="stable")[:half]
    others = np.delete(np.arange(items), largest)
    drawn = np.random.default_rng(0).choice(others, min(half, len(others)), replace=False)
    return np.sort(np.concatenate([largest, drawn]))


def _columns(model: CMML | MatchingCMML, items: int, further: tf.Variable | None) -> np.ndarray:
    """float32 [I + 1, width]: leading components of what the model tells items apart by."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)], autograph=False)
    def columns(rows: tf.Tensor) -> tf.Tensor:
        own = model.item_columns(rows)
        return own if further is None else tf.concat([own, tf.gather(further, rows)], axis=1)

    starts = range(0, items, _BLOCK)
    blocks = [tf.range(start, min(start + _BLOCK, items), dtype=tf.int64) for start in starts]
    total, squares = 0.0, 0.0
    for block in blocks:
        values = columns(block).numpy().astype(np.float64)
        total, squares = total + values.sum(axis=0), squares + values.T @ values
    mean = total / items
    covariance = squares / items - np.outer(mean, mean)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.where(deviation > 1e-6, 1.0 / np.maximum(deviation, 1e-6), 0.0)
    values, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
    shares = np.cumsum(values[::-1]) / max(values.sum(), 1e-12)
    width = min(int(np.searchsorted(shares, _EXPLAINED)) + 1, _WIDEST, len(shares))
    map_ = (scale[:, None] * vectors[:, ::-1][:, :width]).astype(np.float32)
    found = np.zeros([items + 1, map_.shape[1]], np.float32)
    for start, block in zip(starts, blocks, strict=True):
        found[start : start + len(block)] = (columns(block).numpy() - mean).astype(
            np.float32
        ) @ map_
    return found
