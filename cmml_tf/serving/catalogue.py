"""The best items of the whole catalogue for a user, inside the served graph."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.layers.feature_embedding import FeaturePairEmbedding
from cmml_tf.layers.matching.row_tables import RowTables
from cmml_tf.layers.matching.support_groups import SupportGroups
from cmml_tf.serving.requests.task_groups import PAIRS_AT_A_TIME, in_groups
from cmml_tf.serving.vocabulary import Vocabulary

Score = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
"""context [B, D], user rows [B, Q], item rows [B, Q] -> float32 [B, Q]."""

Retrieve = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""factors of users [B, d], number k -> int32 [B, k] item rows."""

LARGEST_SCORED_CATALOGUE = 20_000
_CHUNK = 1024
_LEFT_OUT = tf.float32.min
# Scores at a time, each with about 13 bytes of what goes with it.
_MOST_SCORES = 2**24


class RecommendSizes(NamedTuple):
    """How many items `recommend` answers with, and how many it scores of a large catalogue."""

    top_k: int = 20
    candidates: int = 400

    def check(self) -> None:
        """Raises ValueError where a size is not a positive integer."""
        for name, value in (("top_k", self.top_k), ("retrieval_candidates", self.candidates)):
            if value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value}.")


class Offered(NamedTuple):
    """Items that are in no catalogue and may be recommended all the same.

    Attributes:
      item_id: Ids [B, N].
      key: int64 [B, N], what the score takes for them.
      offered: bool [B, N]; others are not recommended.
    """

    item_id: tf.Tensor
    key: tf.Tensor
    offered: tf.Tensor

    @classmethod
    def of_support(
        cls, item_id: tf.Tensor, key: tf.Tensor, unknown: tf.Tensor, own: tf.Tensor
    ) -> "Offered":
        """Each item of a support once, without those that the user has taken.

        Args:
          item_id, key: [B, S].
          unknown: bool [B, S], pairs that count and whose item is not in the catalogue.
          own: bool [B, S], pairs with an item that the user has taken.
        """
        groups = SupportGroups(key)
        taken = groups.sums(tf.cast(own, tf.float32)) > 0
        return cls(item_id, key, unknown & groups.first & ~taken)


class Catalogue(tf.Module):
    """Ranks the I items of the item table.

    Up to 20,000 items all are scored, 1,024 at a time, so that memory grows with scores and not
    with pair embeddings. Of more, first those are picked whose factors have the largest product
    with the user's (unknown users: with the mean of all users'). The item table serves both: a
    retrieval layer of TFRS would hold it a second time. Where user and item factors differ in
    width, or are made of features, or the model matches by key, there is no such product, and all
    items are scored.

    Args:
      score: Scores pairs by row.
      tables: What knows users and items, with their factors where it is a `PairEmbedding`.
      items: The item ids, row by row.
      sizes: K, clipped to I, and the number of candidates, at least K.
    """

    def __init__(
        self,
        score: Score,
        tables: PairEmbedding | FeaturePairEmbedding | RowTables,
        items: Vocabulary,
        sizes: RecommendSizes,
    ) -> None:
        super().__init__()
        self.items = len(items.lines)
        self.top_k = min(sizes.top_k, self.items)
        self._score = score
        ids = items.lines if items.dtype == tf.string else [int(line) for line in items.lines]
        self.item_ids = tf.Variable(tf.constant(ids, items.dtype), trainable=False)
        self.nothing = tf.constant("" if items.dtype == tf.string else -1, items.dtype)
        # Scores of the whole catalogue, and of each chunk's hidden layers, for so many tasks.
        self._tasks = max(1, min(PAIRS_AT_A_TIME // _CHUNK, _MOST_SCORES // self.items))
        self._retrieve: Retrieve | None = None
        if self.items <= LARGEST_SCORED_CATALOGUE or not isinstance(tables, PairEmbedding):
            return
        if tables.user_table.shape[1] == tables.item_table.shape[1]:
            self._candidates = min(max(sizes.candidates, self.top_k), self.items)
            self._users, self._items = tables.user_table, tables.item_table
            # The last row is zero. A slice without it would be another copy of the table.
            mean = tf.reduce_sum(self._users, axis=0) / float(self._users.shape[0] - 1)
            self.mean_user = tf.Variable(mean, trainable=False)
            self._retrieve = self._largest_products

    def best(
        self, context: tf.Tensor, user: tf.Tensor, taken: tf.Tensor, offered: Offered | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The K best items that the user has not taken, best first.

        Args:
          context: float32 [B, D].
          user: int64 [B] user rows.
          taken: int64 [B, S] item rows to leave out; I where there is none.
          offered: Items to rank beside the catalogue's; None: none.

        Returns:
          item_id [B, K] and score float32 [B, K]. Where fewer than K items are left, the id behind
          them is empty (strings) or -1, and the score the lowest float32.
        """
        answers = [tf.TensorSpec([None, self.top_k], t) for t in (self.nothing.dtype, tf.float32)]
        inputs = [context, user, taken, *(offered or ())]
        return in_groups(self._best, inputs, self._tasks, answers)

    def _best(
        self, context: tf.Tensor, user: tf.Tensor, taken: tf.Tensor, *offered: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        is_taken = self._is_taken(taken)  # [B, I + 1]
        retrieve = self._retrieve
        if retrieve is None:
            score = tf.where(is_taken[:, : self.items], _LEFT_OUT, self._score_all(context, user))
            if offered:
                return self._best_with(score, context, user, Offered(*offered))
            score, row = tf.math.top_k(score, self.top_k)  # [B, K]
        else:
            candidate = self._narrowed(retrieve, user, is_taken, tf.shape(taken)[1])  # [B, N]
            users = tf.repeat(user[:, None], self._candidates, axis=1)
            score = self._score(context, users, tf.cast(candidate, user.dtype))
            score = tf.where(tf.gather(is_taken, candidate, batch_dims=1), _LEFT_OUT, score)
            score, place = tf.math.top_k(score, self.top_k)
            row = tf.gather(candidate, place, batch_dims=1)
        item_id = tf.where(score > _LEFT_OUT, tf.gather(self.item_ids, row), self.nothing)
        return item_id, score

    def _best_with(
        self, score: tf.Tensor, context: tf.Tensor, user: tf.Tensor, offered: Offered
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`_best` of the catalogue's scores [B, I] and of further items."""
        users = tf.repeat(user[:, None], tf.shape(offered.key)[1], axis=1)
        further = self._score(context, users, offered.key)
        further = tf.where(offered.offered, further, _LEFT_OUT)
        best, place = tf.math.top_k(tf.concat([score, further], axis=1), self.top_k)
        # One more, since a support may have no pair.
        ids = tf.pad(offered.item_id, [[0, 0], [0, 1]], constant_values=self.nothing)
        item_id = tf.where(
            place < self.items,
            tf.gather(self.item_ids, tf.minimum(place, self.items - 1)),
            tf.gather(ids, tf.maximum(place - self.items, 0), batch_dims=1),
        )
        return tf.where(best > _LEFT_OUT, item_id, self.nothing), best

    def _is_taken(self, taken: tf.Tensor) -> tf.Tensor:
        """bool [B, I + 1]."""
        B, S = tf.unstack(tf.shape(taken, tf.int64))
        task = tf.repeat(tf.range(B)[:, None], S, axis=1)
        index = tf.stack([task, taken], axis=-1)  # [B, S, 2]
        count = tf.scatter_nd(index, tf.ones_like(taken, tf.int32), [B, self.items + 1])
        return count > 0

    def _score_all(self, context: tf.Tensor, user: tf.Tensor) -> tf.Tensor:
        """float32 [B, I]."""
        B, width = tf.shape(user)[0], min(_CHUNK, self.items)
        chunks = -(-self.items // width)
        # What fills the last chunk is the zero row.
        row = tf.minimum(tf.range(chunks * width, dtype=tf.int64), self.items)
        users = tf.repeat(user[:, None], width, axis=1)

        def score(items: tf.Tensor) -> tf.Tensor:
            return self._score(context, users, tf.repeat(items[None], B, axis=0))

        scores = tf.map_fn(
            score,
            tf.reshape(row, [chunks, width]),
            fn_output_signature=tf.TensorSpec([None, width], tf.float32),
            parallel_iterations=1,
        )  # [chunks, B, width]
        scores = tf.reshape(tf.transpose(scores, [1, 0, 2]), [B, chunks * width])
        return scores[:, : self.items]

    def _largest_products(self, factors: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
        """int32 [B, k] rows of the items with the largest products with factors [B, d]."""
        # The table as it is, read without a copy; the product with its zero row is left out.
        product = tf.matmul(factors, self._items, transpose_b=True)[:, :-1]  # [B, I]
        return tf.math.top_k(product, k)[1]

    def _narrowed(
        self, retrieve: Retrieve, user: tf.Tensor, is_taken: tf.Tensor, S: tf.Tensor
    ) -> tf.Tensor:
        """int32 [B, N] item rows, those not taken first."""
        factors = tf.gather(self._users, user)
        unknown = tf.equal(user, self._users.shape[0] - 1)
        factors = tf.where(unknown[:, None], self.mean_user, factors)
        # S more than needed: so many may have been taken. What is left of them in order does not
        # depend on S, which is larger for a request that is batched with a longer one.
        found = retrieve(factors, tf.minimum(self._candidates + S, self.items))
        order = tf.argsort(
            tf.cast(tf.gather(is_taken, found, batch_dims=1), tf.int32), axis=1, stable=True
        )
        return tf.gather(found, order[:, : self._candidates], batch_dims=1)
