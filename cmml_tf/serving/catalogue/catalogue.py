"""The best items of the whole catalogue for a user, inside the served graph."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.models.cmml import CMML
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.models.ranking_cmml import RankingCMML
from cmml_tf.serving.catalogue.membership import Belonging, Membership, MembershipReader
from cmml_tf.serving.catalogue.narrowing import Narrowing
from cmml_tf.serving.catalogue.narrowing_recall import ENOUGH, Kept, SampleTasks, kept_by
from cmml_tf.serving.catalogue.support_items import Beside, SupportItems
from cmml_tf.serving.requests.task_groups import (
    PAIRS_AT_A_TIME,
    columns_in_a_loop,
    in_groups,
    joined_in_a_loop,
    not_inlined,
)
from cmml_tf.serving.vocabulary import Vocabulary

LARGEST_SCORED_CATALOGUE = 4096
"""Items of which all are scored."""
_LARGEST_SCORED_IN_NEED = 20_000
"""The same, where a narrowing keeps too little."""
_LARGEST_READ_AT_ONCE = 65_536
"""Items whose scores, where contexts hold them, are read for all tasks of a call."""
_CHUNK, _MOST_TASKS = 4096, 64
_LEFT_OUT = tf.float32.min
# Scores at a time, each with about 13 bytes of what goes with it.
_MOST_SCORES = 2**24


class RecommendOptions(NamedTuple):
    """What `recommend` answers with, and how it finds that in a large catalogue.

    Attributes:
      top_k: K, clipped to I.
      candidates: Items that are scored of a large catalogue; None: as many as keep enough.
      sample: Tasks that tell how many these are; None: of random pairs.
      membership: What tells items of a scenario from the rest of the catalogue; None: items are
        ranked by their scores alone.
    """

    top_k: int = 20
    candidates: int | None = None
    sample: SampleTasks | None = None
    membership: Membership | None = None

    def check(self, model: CMML | MatchingCMML) -> None:
        """Raises ValueError where a size is not positive, or `membership` does not fit."""
        for name, value in (("top_k", self.top_k), ("retrieval_candidates", self.candidates)):
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value}.")
        if self.membership is None:
            return
        if not isinstance(model, MatchingCMML):
            raise ValueError(
                "`membership` must be left out for a model that does not match by key. "
                f"Received: membership for a {type(model).__name__}."
            )
        if len(self.membership.places) != model.id_tables.items:
            raise ValueError(
                f"`membership` must have a place for each of {model.id_tables.items} items. "
                f"Received: {len(self.membership.places)}."
            )


class Read(NamedTuple):
    """What a support is to a catalogue.

    Attributes:
      adapted: What the model becomes.
      belonging: What is said of the scenario; None where items are ranked by scores alone.
    """

    adapted: Any
    belonging: Belonging | None


class Catalogue(tf.Module):
    """Ranks the I items of the item table.

    Up to 4,096 items all are scored, so many at a time that memory grows with scores and not
    with pair embeddings. Of more, a `Narrowing` says which are worth it, as many as keep .99 of
    the best K (`kept`). Where the model matches by key, the narrowing knows nothing of what the
    support says of an item, and all items of the support are scored beside the candidates. Where no
    number of candidates keeps that much, up to 20,000 items are scored all the same. Of a model
    whose contexts hold the scores of the catalogue, these are read.

    Args:
      model: Whose tables know the items.
      adapt: What it becomes, of support fields.
      items: The item ids, row by row.
      options: Of `recommend`.
    """

    def __init__(
        self,
        model: CMML | MatchingCMML,
        adapt: Callable[..., Any],
        items: Vocabulary,
        options: RecommendOptions,
    ) -> None:
        super().__init__()
        self.items = len(items.lines)
        self.top_k = min(options.top_k, self.items)
        # A function: the model's layers stay outside the SavedModel.
        self._score_of_user = lambda read, *asked, **given: model.score_of_user(
            read.adapted, *asked, **given
        )
        self._score_with_support = lambda read, *asked: model.score_with_support(
            read.adapted, *asked
        )
        given = options.membership
        self._membership = None if given is None else MembershipReader(given)
        self._matches = model.by_key
        ids = items.lines if items.dtype == tf.string else [int(line) for line in items.lines]
        self.item_ids = tf.Variable(tf.constant(ids, items.dtype), trainable=False)
        self._nothing: str | int = "" if items.dtype == tf.string else -1
        # Scores of the whole catalogue for so many tasks.
        self._tasks = max(1, min(_MOST_TASKS, _MOST_SCORES // self.items))
        self._scores_given = isinstance(model, RankingCMML)
        # Rows that are scored of a task at once; None: some at a time.
        self._at_once: int | None = None
        self.narrowing: Narrowing | None = None
        self.kept = Kept(self.items, recall=1.0, tasks=0)
        answers = (items.dtype, tf.float32)
        self._answers = [tf.TensorSpec([None, self.top_k], each) for each in answers]
        if self._scores_given:
            return
        if self.items <= LARGEST_SCORED_CATALOGUE:
            self._at_once = self.items + 1
            return
        sample = options.sample or SampleTasks.drawn(model.id_tables.users, self.items)

        def read(*support: tf.Tensor) -> Read:
            return self.read(adapt(*support), *support[1:])

        columns = None if self._membership is None else self._membership.places
        narrowing = Narrowing(model, self.items, self._score_apart, sample, read, columns)
        kept = kept_by(
            sample,
            read,
            tf.function(self._score_all, autograph=False),
            tf.function(narrowing, autograph=False),
            self.items,
            self.top_k,
            options.candidates,
            self._matches,
        )
        needed = options.candidates is not None or self.items > _LARGEST_SCORED_IN_NEED
        if needed or kept.recall >= ENOUGH:
            self.narrowing, self.kept = narrowing, kept
            narrowing.candidates = kept.candidates
            if kept.candidates <= _CHUNK:
                self._at_once = max(kept.candidates, narrowing.references)

    @property
    def nothing(self) -> tf.Tensor:
        """The id of no item."""
        # A constant of each graph: one that is made before would be handed through its loop.
        return tf.constant(self._nothing, self.item_ids.dtype)

    def some_at_a_time(
        self, ranked: Callable[..., tuple[tf.Tensor, ...]], inputs: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, ...]:
        """`ranked(*inputs)`, for as many tasks at a time as their scores leave room for.

        The whole of a request is within the loop: it hands on the few tensors that a request has,
        and not the many that a support becomes.

        Args:
          ranked: Inputs of b tasks to what `best` gives of them.
          inputs: Tensors [B, ...], the last of which is of support pairs, [B, S].
        """
        # To read scores costs less than a loop does, or a branch.
        if self._scores_given:
            return ranked(*inputs)
        tasks = self._tasks
        if self._at_once is not None:
            # A loop within the loop would cost a small request more than its scores.
            pairs = self._at_once + tf.shape(inputs[-1])[1]
            tasks = tf.clip_by_value(PAIRS_AT_A_TIME // pairs, 1, tasks)
            if self._matches:
                # As one operation it is run in order (`version.loop_calls`).
                ranked = not_inlined(ranked)
        return joined_in_a_loop(ranked, inputs, tasks, self._answers)

    def read(self, adapted: Any, item: tf.Tensor, label: tf.Tensor, length: tf.Tensor) -> Read:
        """What supports of B tasks are to the catalogue.

        Args:
          adapted: What the model becomes.
          item: Rows or keys, int64 [B, S].
          label, length: As of `Support`.
        """
        if self._membership is None:
            return Read(adapted, None)
        return Read(adapted, self._membership.of_support(item, label, length))

    def best(
        self, read: Read, user: tf.Tensor, support: SupportItems
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The K best items that the user has not taken, best first.

        Args:
          read: The supports of B tasks.
          user: int64 [B] user rows.
          support: Items that it names; where the model matches by key, those that the catalogue
            does not have are ranked beside it.

        Returns:
          item_id [B, K] and score float32 [B, K]: where items are told from those of other
          scenarios, with the logarithm of how likely it is one of this. Where fewer than K items
          are left, the id behind them is empty (strings) or -1, and the score the lowest float32.
        """
        narrows = self.narrowing is not None
        elsewhere = support.read if narrows and self._matches else support.taken
        gone = support.rows(elsewhere, self.items)
        given = [user, tf.pad(gone, [[0, 0], [0, 1]], constant_values=self.items)]
        if self._matches:
            offered = support.offered(self.nothing)
            if not narrows:
                offered &= ~support.known
            given += Beside(support.item_id, support.key, offered)
        if self._scores_given and self.items > _LARGEST_READ_AT_ONCE:
            return in_groups(self._best_given, [read.adapted, *given], self._tasks, self._answers)
        return self._best(read, *given)

    def _best_given(self, scores: tf.Tensor, *given: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The same of contexts that hold the scores of the catalogue."""
        return self._best(Read(scores, None), *given)

    def _best(
        self, read: Read, user: tf.Tensor, gone: tf.Tensor, *given: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`best`, of rows int64 [B, S + 1] that are not ranked, and of `Beside` if there is one."""
        beside = Beside(*given) if given else None
        row = None
        if self._scores_given:
            score = self._without(read.adapted[:, : self.items + 1], gone, _LEFT_OUT)
        elif self.narrowing is None:
            rows = self._all_rows(user)
            offered = self._without(tf.ones_like(rows, tf.bool), gone, False)
            score = self._scored(read, user, rows, offered, beside)
        else:
            likely = self._left_out(self.narrowing(read, user), gone)
            likely, row = tf.math.top_k(likely, self.narrowing.candidates)
            score = self._scored(read, user, tf.cast(row, tf.int64), likely > _LEFT_OUT, beside)
        best, place = tf.math.top_k(score, self.top_k)
        return self._ids(place, row, beside, best), best

    def _scored(
        self,
        read: Read,
        user: tf.Tensor,
        rows: tf.Tensor,
        offered: tf.Tensor,
        beside: Beside | None,
    ) -> tf.Tensor:
        """Scores of rows int64 [B, N], then of what stands beside them, [B, S], if anything does.

        Of what is not offered, bool [B, N], the lowest.
        """
        score = self._columns if self._at_once is None else self._score_of_user
        if beside is None:
            scores = score(read, user, rows)
        else:
            offered = tf.concat([offered, beside.offered], axis=1)
            if self.narrowing is not None and self._at_once is not None:
                # Which leaves out all that the support names.
                scores = self._score_with_support(read, user, rows)
            else:
                scores = score(read, user, tf.concat([rows, beside.key], axis=1))
        scores += self._belonging(read, None if self.narrowing is None else rows, scores)
        return tf.where(offered, scores, _LEFT_OUT)

    def _belonging(self, read: Read, rows: tf.Tensor | None, scores: tf.Tensor) -> tf.Tensor:
        """What is added to scores [B, N]: of unnamed rows, or of all; 0 for what is behind them."""
        if self._membership is None or read.belonging is None:
            return tf.zeros([], tf.float32)
        if rows is None:
            added = self._membership.of_catalogue(read.belonging)
        else:
            added = self._membership.unnamed(read.belonging, rows)
        behind = tf.shape(scores)[1] - tf.shape(added)[1]
        return tf.pad(added, [[0, 0], [0, behind]])

    def _score_apart(self, read: Read, user: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """What rows int64 [1, N] would be ranked by if no support named them: float32 [B, N]."""
        scores = self._score_of_user(read, user, rows, named=False)
        return scores + self._belonging(read, rows, scores)

    def _columns(self, read: Read, user: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Scores float32 [B, N] of a user's rows int64 [B, N], some at a time."""

        def score(rows: tf.Tensor) -> tf.Tensor:
            return self._score_of_user(read, user, rows)

        return columns_in_a_loop(score, rows, _CHUNK)

    def _left_out(self, score: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """As `_without`, in the memory of the scores themselves, which nothing else may read."""
        B = tf.shape(rows, tf.int64)[0]
        rows += tf.range(B)[:, None] * (self.items + 1)
        rows = tf.reshape(tf.cast(rows, tf.int32), [-1])
        # On a CPU `tf.tensor_scatter_nd_update` copies, even what nothing else reads.
        score = tf.raw_ops.InplaceUpdate(
            x=tf.reshape(score, [-1]), i=rows, v=tf.fill(tf.shape(rows), _LEFT_OUT)
        )
        return tf.reshape(score, [-1, self.items + 1])

    def _without(self, values: tf.Tensor, rows: tf.Tensor, instead: float | bool) -> tf.Tensor:
        """Values [B, I + 1], another in their place for rows int64 [B, S]."""
        B, S = tf.unstack(tf.shape(rows, tf.int64))
        task = tf.repeat(tf.range(B)[:, None], S, axis=1)
        index = tf.stack([task, rows], axis=-1)  # [B, S, 2]
        return tf.tensor_scatter_nd_update(values, index, tf.fill([B, S], instead))

    def _ids(
        self, place: tf.Tensor, row: tf.Tensor | None, beside: Beside | None, best: tf.Tensor
    ) -> tf.Tensor:
        """Ids [B, K] of places among the scores of the catalogue, or candidates, and support."""
        last = self.items if row is None else int(row.shape[1]) - 1
        inside = tf.minimum(place, last)
        row = inside if row is None else tf.gather(row, inside, batch_dims=1)
        # What is no item has no id.
        found = tf.gather(self.item_ids, tf.minimum(row, self.items - 1))
        if beside is not None:
            # One more, since a support may have no pair.
            ids = tf.pad(beside.item_id, [[0, 0], [0, 1]], constant_values=self.nothing)
            behind = tf.gather(ids, tf.maximum(place - last - 1, 0), batch_dims=1)
            found = tf.where(place > last, behind, found)
        return tf.where(best > _LEFT_OUT, found, self.nothing)

    def _score_all(self, read: Read, user: tf.Tensor) -> tf.Tensor:
        """float32 [B, I + 1]; the last column is of no item."""
        scores = self._columns(read, user, self._all_rows(user))
        return scores + self._belonging(read, None, scores)

    def _all_rows(self, user: tf.Tensor) -> tf.Tensor:
        """int64 [B, I + 1]; the last is the zero row."""
        rows = tf.range(self.items + 1, dtype=tf.int64)
        return tf.repeat(rows[None], tf.shape(user)[0], axis=0)
