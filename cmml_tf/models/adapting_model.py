"""A model that adapts to each task first and scores with the result, however it adapts."""

from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from cmml_tf.models.episode_model import EpisodeModel
from cmml_tf.types import Episode, Support


class ContextWidth(NamedTuple):
    """Numbers in a context [B, task + pair S].

    Attributes:
      task: Of a task.
      pair: Of each support pair; 0 where the width does not depend on the support.
    """

    task: int
    pair: int = 0


class AdaptingModel(EpisodeModel):
    """An `EpisodeModel` in two halves, so that a task that is asked often is adapted to once.

    A subclass gives `score_adapted` and, unless it is the same for all tasks, `adapt`.
    """

    by_key: bool = False
    """Whether ids are told apart beyond the rows of tables: then users and items are keys, int64,
    and a key that is no row stands for an id that the model does not know."""

    may_recommend_refused = True
    """Whether an item that a user has refused (label 0) may be recommended to this user."""

    answer_names: ClassVar[tuple[str, ...]] = ("score",)
    """What `answers` gives."""

    @property
    def weights_that_may_be_new(self) -> int:
        """So many of the last trainable weights may be new in a run that continues another."""
        return 0

    @property
    def reads_support(self) -> bool:
        """Whether scores depend on the support."""
        return type(self).adapt is not AdaptingModel.adapt

    def adapt(self, support: Support, training: bool = False) -> Any:
        """What the model becomes for each task.

        Returns:
          Nested tensors with a leading axis B; `()` for a model that does not adapt.
        """
        del support, training
        return ()

    def context_of(self, adapted: Any) -> Any:
        """What `adapt` gave, in few tensors, to be kept: of a `ContextModel` float32 [B, D]."""
        return adapted

    def adapted_of(self, context: Any) -> Any:
        """What `adapt` gives, of what was kept."""
        return context

    def score_adapted(
        self, adapted: Any, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """What `adapt` gave and int [B, Q] rows -> score float32 [B, Q]."""
        raise NotImplementedError

    def score_grid(self, adapted: Any, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """What `adapt` gave, int rows [B, U] and [B, I] -> float32 [B, U, I].

        Each item for each user. A model for which that is less work than its pairs overrides this.
        """
        shape = tf.stack([tf.shape(users)[0], tf.shape(users)[1], tf.shape(items)[1]])
        user = tf.reshape(tf.broadcast_to(users[:, :, None], shape), [shape[0], -1])
        item = tf.reshape(tf.broadcast_to(items[:, None], shape), [shape[0], -1])
        return tf.reshape(self.score_adapted(adapted, user, item), shape)

    def answers(
        self, adapted: Any, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """All that is said of query pairs, by name, float32 [B, Q] each: here the score alone."""
        return {"score": self.score_adapted(adapted, query_user, query_item)}

    def call(self, episode: Episode, training: bool = False) -> tf.Tensor:
        """Scores of the query pairs, float32 [B, Q]."""
        adapted = self.adapt(episode.support, training)
        return self.score_adapted(adapted, episode.query_user, episode.query_item)


class ContextModel(AdaptingModel):
    """An `AdaptingModel` that becomes, for each task, a context (section 3.2).

    A subclass gives `encode_context(support, training)`, float32 [B, D], and
    `score_with_context(context, query_user, query_item)`, float32 [B, Q].
    """

    def adapt(self, support: Support, training: bool = False) -> tf.Tensor:
        """What the model becomes for each task is its context."""
        return self.encode_context(support, training)

    def score_adapted(
        self, adapted: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """The same as `score_with_context`."""
        return self.score_with_context(adapted, query_user, query_item)

    def encode_context(self, support: Support, training: bool = False) -> tf.Tensor:
        """The context of each task: float32 [B, D]."""
        raise NotImplementedError

    def score_with_context(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """float32 [B, D], int [B, Q] -> score float32 [B, Q]."""
        raise NotImplementedError

    def score_of_user(
        self, adapted: Any, query_user: tf.Tensor, query_item: tf.Tensor, named: bool = True
    ) -> tf.Tensor:
        """`score_adapted` of one user a task, int [B]; items int [B, Q], or [1, Q] for all tasks.

        `named` is for models that match by key.
        """
        del named
        # As wide as the items: a sum costs a request less than `tf.repeat` with its ten nodes.
        users = query_user[:, None] + tf.zeros_like(query_item, query_user.dtype)
        items = query_item
        if items.shape[0] == 1 != users.shape[0]:
            items += tf.zeros_like(users, items.dtype)
        return self.score_adapted(adapted, users, items)
