"""What the pairs of a support say of the very items and users that a query names."""

from typing import Protocol

import tensorflow as tf

from cmml_tf.layers.matching.keys import matches
from cmml_tf.layers.matching.match_context import MatchContext
from cmml_tf.layers.matching.query_pairs import beside, by_task, summed_products
from cmml_tf.layers.matching.support_groups import SupportGroups


class Matched(Protocol):
    """Sums over support pairs that have a query's item or user.

    N is Q; in place of both there may be two axes that broadcast to pairs (`query_pairs`).
    """

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """Over the pairs of each item: float32 [B, S, c] -> [B, Q, c]."""

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """Over the pairs of each user: float32 [B, S, c] -> [B, N, c]."""

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """Over the pairs of each item, of values for the user: float32 [B, N, S] -> [B, Q, 1]."""

    def taken_by_user(self) -> tf.Tensor:
        """The user's own clicks on the item: float32 [B, Q, 1]."""


class MatchedPairs:
    """Of pairs of any users and items: each is compared with each support pair.

    Args:
      context: Of B tasks.
      user, item: Keys int64 [B, Q].
    """

    def __init__(self, context: MatchContext, user: tf.Tensor, item: tf.Tensor) -> None:
        self._same_item = matches(item, context.item_key)  # [B, Q, S]
        self._same_user = matches(user, context.user_key)
        self._own = self._same_user * context.positive[:, None]

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.matmul(self._same_item, values)

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.matmul(self._same_user, values)

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return summed_products(values, self._same_item)

    def taken_by_user(self) -> tf.Tensor:
        """As of `Matched`."""
        return self.on_item(self._own)


class MatchedUsers:
    """Of several users and several items: support pairs are summed by item, for each user once.

    Args:
      context: Of B tasks.
      user: Keys int64 [B, U, 1], each of whom is asked of every item, or [B, 1, P].
      item: Keys int64 [B, 1, I], or [B, N, P], N of each user.
    """

    def __init__(self, context: MatchContext, user: tf.Tensor, item: tf.Tensor) -> None:
        asked = tf.reshape(item, [tf.shape(item)[0], tf.reduce_prod(tf.shape(item)[1:])])
        self._groups = SupportGroups(context.item_key, asked)
        self._group = tf.reshape(self._groups.group_asked, tf.shape(item))
        self._same_user = matches(user, context.user_key)  # [B, U, 1, S] or [B, 1, P, S]
        self._own = self._same_user * beside(context.positive, self._same_user)
        self._is_grid = user.shape[2] == 1

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.gather(self._groups.group_sums(values), self._group)

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return by_task(self._same_user, values)

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        # Not a slice, whose gradient fills zeros with all that there is.
        of_users = tf.squeeze(values, axis=2 if self._is_grid else 1)
        sums = self._groups.group_sums(tf.transpose(of_users, [0, 2, 1]))  # [groups, users]
        if self._is_grid:
            found = tf.gather(sums, self._group[:, 0])  # [B, I, U]
            return tf.transpose(found, [0, 2, 1])[..., None]
        users = tf.shape(sums)[1]
        place = self._group * users + tf.range(users)
        return tf.gather(tf.reshape(sums, [-1]), place)[..., None]

    def taken_by_user(self) -> tf.Tensor:
        """As of `Matched`."""
        return self.on_item(self._own)
