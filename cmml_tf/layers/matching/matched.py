"""What the pairs of a support say of the very items and users that a query names."""

from typing import Protocol

import tensorflow as tf

from cmml_tf.layers.matching.keys import matches
from cmml_tf.layers.matching.match_context import MatchContext
from cmml_tf.layers.matching.support_groups import SupportGroups


class Matched(Protocol):
    """Sums over support pairs that have a query's item or user.

    N is Q; in place of both there may be two axes that broadcast to pairs (`query_pairs`). N users
    beside support pairs stand as [B, P, N], in which pairs of an item are summed row by row; the
    leading P of the S pairs have all that are positive among them.
    """

    names_items: bool
    """Whether a support pair may have an item that is asked for; else sums over its pairs are 0."""

    def clicked(self, values: tf.Tensor) -> tf.Tensor:
        """The leading pairs, behind which none is positive: [B, S, c] -> [B, P, c]."""

    def users(self, values: tf.Tensor) -> tf.Tensor:
        """What is of users, as they are given, with one axis for them: [B, ..., c] -> [B, N, c]."""

    def as_given(self, values: tf.Tensor) -> tf.Tensor:
        """The inverse: [B, N, c], with the axes that users are given with."""

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """Over the pairs of each item: float32 [B, S, c] -> [B, Q, c]."""

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """Over the positive pairs of each user, where others have 0: [B, S, c] -> [B, N, c]."""

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """Over the pairs of each item, of values for the user: float32 [B, P, N] -> [B, Q, 1]."""

    def taken_by_user(self) -> tf.Tensor:
        """The user's own clicks on the item: float32 [B, Q, 1]."""


class MatchedPairs:
    """Of pairs of any users and items: each is compared with each support pair.

    Args:
      context: Of B tasks.
      user, item: Keys int64 [B, Q].
    """

    names_items = True

    def __init__(self, context: MatchContext, user: tf.Tensor, item: tf.Tensor) -> None:
        self._same_item = matches(context.item_key, item)  # [B, S, Q]
        self._same_user = matches(context.user_key, user)
        self._clicks = context.signs[..., :1]

    def clicked(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`: all pairs, as a request has few."""
        return values

    def users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return values

    def as_given(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return values

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.matmul(self._same_item, values, transpose_a=True)

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.matmul(self._same_user, values, transpose_a=True)

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.reduce_sum(values * self._same_item, axis=1)[..., None]

    def taken_by_user(self) -> tf.Tensor:
        """As of `Matched`."""
        return self.on_item(self._same_user * self._clicks)


class MatchedUsers:
    """Of several users: items of support pairs are summed by item, for each user once.

    Args:
      context: Of B tasks.
      user: Keys int64 [B, U, 1], each of whom is asked of every item, or [B, 1, P].
      item: Keys int64 [B, 1, I], or [B, N, P], N of each user.
    """

    names_items = True

    def __init__(self, context: MatchContext, user: tf.Tensor, item: tf.Tensor) -> None:
        self._is_grid = user.shape[2] == 1
        self._one = 2 if self._is_grid else 1
        clicks = context.signs[..., :1]
        # In training and evaluation negatives, as many and more, stand behind all positives.
        place = tf.range(1, context.pairs() + 1)
        last = tf.reduce_max(tf.where(clicks[..., 0] > 0, place, 1))
        self._positive = tf.minimum(last, context.pairs())
        self._clicks = self.clicked(clicks)
        user = tf.squeeze(user, self._one)
        self._same_user = matches(self.clicked(context.user_key), user)  # [B, P, N]
        asked = tf.reshape(item, [tf.shape(item)[0], tf.reduce_prod(tf.shape(item)[1:])])
        self._groups = SupportGroups(context.item_key, asked)
        self._group = tf.reshape(self._groups.group_asked, tf.shape(item))

    def clicked(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return values[:, : self._positive]

    def users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        # Not a slice, whose gradient fills zeros with all that there is.
        return tf.squeeze(values, self._one)

    def as_given(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.expand_dims(values, self._one)

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.gather(self._groups.group_sums(values), self._group)

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return self.as_given(tf.matmul(self._same_user, self.clicked(values), transpose_a=True))

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        sums = self._groups.group_sums(values, self._positive)  # [groups, users]
        if self._is_grid:
            found = tf.gather(sums, self._group[:, 0])  # [B, I, U]
            return tf.transpose(found, [0, 2, 1])[..., None]
        users = tf.shape(sums)[1]
        place = self._group * users + tf.range(users)
        return tf.gather(tf.reshape(sums, [-1]), place)[..., None]

    def taken_by_user(self) -> tf.Tensor:
        """As of `Matched`."""
        return self.on_item(self._same_user * self._clicks)


class MatchedUser:
    """Of one user a task, and items that no support pair has; behind them, those of the support.

    Args:
      context: Of B tasks.
      user: Keys int64 [B, 1, 1].
      apart: N, how many items stand before the S of the support's pairs; None: these do not follow.
    """

    def __init__(self, context: MatchContext, user: tf.Tensor, apart: int | None) -> None:
        self.names_items = apart is not None
        self._apart = apart
        self._groups = SupportGroups(context.item_key)
        self._same_user = matches(context.user_key, user[:, 0])  # [B, S, 1]
        self._clicks = context.signs[..., :1]

    def clicked(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`: all pairs, as a request has few."""
        return values

    def users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.squeeze(values, 1)

    def as_given(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.expand_dims(values, 1)

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`, [B, 1, N + S, c]; or with axes of length 1 that broadcast."""
        if self._apart is None:
            return tf.zeros([1, 1, 1, values.shape[-1]])
        sums = tf.pad(self._groups.sums(values), [[0, 0], [self._apart, 0], [0, 0]])
        return tf.expand_dims(sums, 1)

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        # As a product of matrices it would take longer.
        return self.as_given(tf.reduce_sum(self._same_user * values, axis=1, keepdims=True))

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`: values for the one user."""
        return self.of_items(values)

    def taken_by_user(self) -> tf.Tensor:
        """As of `Matched`."""
        return self.on_item(self._same_user * self._clicks)
