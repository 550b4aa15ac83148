"""Matching, a hybrid context (section 3.3): the task context meets the query pair by id."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.flat_pairs import on_flat_pairs
from cmml_tf.layers.matching.item_fold_in import CONSTANT, ItemFoldIn
from cmml_tf.layers.matching.item_posterior import ClickerPosterior, CountPosterior
from cmml_tf.layers.matching.item_view import ItemTower
from cmml_tf.layers.matching.match_context import AMOUNTS, NUMBERS, MatchContext
from cmml_tf.layers.matching.matched import Matched, MatchedPairs, MatchedUser, MatchedUsers
from cmml_tf.layers.matching.own_clicks import OwnClicks
from cmml_tf.layers.matching.pair_taste import PairTaste
from cmml_tf.layers.matching.query_pairs import (
    beside,
    columns,
    summed_products,
    widened,
    with_first,
)
from cmml_tf.layers.matching.scenario_taste import ScenarioTaste
from cmml_tf.layers.matching.support_groups import SupportGroups
from cmml_tf.layers.matching.user_votes import UserVotes
from cmml_tf.layers.mlp import MLP
from cmml_tf.layers.step_noise import StepDropout, StepNoise

# Places of the numbers that are added up; a correction reads all.
_ADDED = (1, 2, 3, 4, 7, 8)
_PRODUCT_UNITS = 64
_GATES = 4
# Of random numbers within a training step; `ItemTower` has the one between.
_NOISE, _USERS = 1, 3


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class Matching(tf.keras.layers.Layer):
    """Reads a support set into a `MatchContext`, and scores query pairs by what matches them.

    The score is what anybody in the scenario likes (`CountPosterior`, on `ScenarioTaste`), plus
    what this user likes (the product of `OwnClicks` and `ClickerPosterior`; `ItemFoldIn`;
    `UserVotes`), plus, if there are `units`, a linear map and a small network of these numbers,
    which corrects them. Items and users that no table knows are matched by their keys like any
    other.

    Args:
      dimension: d, the width of user and item factors, the first values of a row. In a row of the
        user table `known` (0 or 1) follows, in one of the item table `known` and statistics.
      taste_features, products: As `ItemTower` has them.
      units: Hidden units of the correction; 0: there is none.
      dropout, seed: As `PairTaste` has them; the products of asked users and items have it too.
      item_noise: Standard deviation of the noise on the factors of the query's items in training.

    Raises:
      ValueError: A size is below 1, or `units` below 0.
    """

    def __init__(
        self,
        dimension: int,
        taste_features: int = 8,
        products: int = 24,
        units: int = 32,
        dropout: float = 0.4,
        seed: int = 0,
        item_noise: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if units < 0:
            raise ValueError(f"`units` must be zero or more. Received: units={units}.")
        self.dimension = dimension
        self.taste_features = taste_features
        self.units = units
        self.products = products
        self.item_tower = ItemTower(
            dimension, taste_features, products, dropout=dropout, seed=seed, name="item_tower"
        )
        self.user_product = MLP([_PRODUCT_UNITS, products], name="user_product")
        self.user_dropout = StepDropout(dropout, seed)
        zeros = tf.keras.initializers.Zeros()
        self.user_map = tf.keras.layers.Dense(
            dimension, use_bias=False, kernel_initializer=zeros, name="user_map"
        )
        self.scenario_taste = ScenarioTaste(dimension, products, name="scenario_taste")
        self.count_posterior = CountPosterior(name="count_posterior")
        self.clicker_posterior = ClickerPosterior(name="clicker_posterior")
        self.item_fold_in = ItemFoldIn(name="item_fold_in")
        self.own_clicks = OwnClicks(name="own_clicks")
        self.user_votes = UserVotes(name="user_votes")
        self.pair_taste = PairTaste(dropout=dropout, seed=seed, name="pair_taste")
        self.item_noise = StepNoise(item_noise, dimension, use=_NOISE, seed=seed, name="item_noise")
        self.gate_hidden = tf.keras.layers.Dense(16, "relu", name="gate_hidden")
        self.gates = tf.keras.layers.Dense(_GATES, kernel_initializer=zeros, name="gates")
        if not units:
            return
        self.correction_hidden = tf.keras.layers.Dense(units, "relu", name="correction_hidden")
        # No bias: it would move all scores of a task alike, which the loss does not see, so that
        # rounding alone would move it, and scores would differ from training to training.
        self.correction = tf.keras.layers.Dense(
            1, use_bias=False, kernel_initializer=zeros, name="correction"
        )

    @property
    def taste_width(self) -> int:
        """T, of the taste's features."""
        return self.taste_features + self.dimension

    @property
    def dropped(self) -> list[tf.keras.layers.Layer]:
        """The networks of whose inputs a share is left out in training."""
        return [self.item_tower.product, self.user_product, self.pair_taste]

    def build(self, input_shape: Any) -> None:
        """`input_shape`: of rows of the item table, [..., row]."""
        row, d = int(input_shape[-1]), self.dimension
        self.statistics = row - d
        build_named(self.item_tower, [None, row])
        build_named(self.user_map, [None, None, d])
        build_named(self.user_product, [None, None, d])
        build_named(self.scenario_taste, [None, None, self.taste_width])
        build_named(self.count_posterior, [None, None, AMOUNTS + self.statistics])
        for part in (
            self.clicker_posterior,
            self.item_fold_in,
            self.own_clicks,
            self.user_votes,
            self.pair_taste,
        ):
            build_named(part, [None, None, d])
        build_named(self.gate_hidden, [None, AMOUNTS + self.products])
        build_named(self.gates, [None, 16])
        if self.units:
            build_named(self.correction_hidden, [None, None, NUMBERS])
            build_named(self.correction, [None, None, NUMBERS + self.units])
        number = tf.keras.initializers.Constant
        self.tilt_scale = self.add_weight(name="tilt_scale", shape=[d], initializer=number(0.3))
        self.norm_scale = self.add_weight(name="norm_scale", shape=[], initializer="zeros")
        self.vote_scale = self.add_weight(name="vote_scale", shape=[], initializer=number(0.3))
        self.fold_scale = self.add_weight(name="fold_scale", shape=[], initializer=number(2.0))
        super().build(input_shape)

    def encode(
        self,
        user_key: tf.Tensor,
        item_key: tf.Tensor,
        user_row: tf.Tensor,
        item_row: tf.Tensor,
        label: tf.Tensor,
        valid: tf.Tensor,
        catalogue_row: tf.Tensor,
    ) -> MatchContext:
        """What the support pairs of B tasks say.

        Args:
          user_key, item_key: int64 [B, S].
          user_row, item_row: float32 [B, S, ...], rows of the tables, zeros for unknown ids; or
            what `with_user_view` and `ItemTower.with_view` make of them.
          label: float32 [B, S], above 0.5 for a positive pair.
          valid: bool [B, S], true for the leading pairs; the others may hold anything finite.
          catalogue_row: float32 [R, ...], rows of items that stand for the catalogue.
        """
        positive, counted = tf.cast(valid & (label > 0.5), tf.float32), tf.cast(valid, tf.float32)
        signs = tf.stack([positive, counted - positive], axis=-1)
        positive = signs[..., :1]  # [B, S, 1]
        items, users = self.item_tower(item_row), self._users(user_row)
        of_item = SupportGroups(item_key).sums(tf.concat([signs, positive * users], axis=-1))
        count, refusals, takers = tf.split(of_item, [1, 1, self.dimension], axis=-1)
        size = tf.reduce_sum(signs, axis=1)
        n = size[:, :1]
        mean_user = _mean(users, positive, n)
        taste = self.scenario_taste(
            items,
            self._products(user_row, users),
            positive,
            counted[..., None] / tf.maximum(count + refusals, 1.0),
            self.item_tower(catalogue_row),
            mean_user,
        )
        folded = self.clicker_posterior(items.factor, takers - count * mean_user[:, None], count)
        distinct = tf.reduce_sum(positive / tf.maximum(count, 1.0), axis=1)
        size = tf.concat([size, distinct], axis=1)
        amount = self._amount(size, taste.trust)
        return MatchContext(
            size=size,
            amount=amount,
            weights=self._weights(amount, taste.product_weight),
            taste=taste,
            user_key=user_key,
            item_key=item_key,
            signs=signs,
            user=users - mean_user[:, None],
            mean_user=mean_user,
            item=folded - _mean(folded, positive, n)[:, None],
            inverse=self.item_fold_in.inverse(users, positive),
        )

    def call(
        self,
        context: MatchContext,
        user_key: tf.Tensor,
        item_key: tf.Tensor | None,
        user_row: tf.Tensor,
        item_row: tf.Tensor,
        training: bool | None = None,
        pair: tf.Tensor | None = None,
        apart: int | None = None,
    ) -> tf.Tensor:
        """Scores float32 [B, Q] of query pairs, or of users and items whose shapes broadcast.

        Args:
          context: Of B tasks.
          user_key, item_key: int64 [B, Q] each; or with two axes in place of Q, such as [B, U, 1]
            and [B, 1, I], a grid: what is of a user or of an item alone is computed once. Items
            None: of one user a task, such that no support pair has.
          user_row, item_row: float32, as the keys, then the width of a row.
          pair: float32 [B, Q, 1], what `PairTaste` makes of the pairs; None: it is computed.
          apart: Where items are None, how many stand before those of the support's own pairs, in
            their order; None: these are not asked for.
        """
        matched = _matched(context, user_key, item_key, apart)
        d, item_row = self.dimension, self.item_noise(item_row, training=training)
        items = self.item_tower(item_row, training=training)
        positive, users = context.signs[..., :1], context.user + context.mean_user[:, None]
        of_pairs = tf.concat([context.signs, positive * context.user], axis=-1)
        count, refusals, takers = tf.split(matched.of_items(of_pairs), [1, 1, d], axis=-1)
        taken = None
        if matched.names_items:
            # The sum of the takers as `ItemFoldIn` has them, not less the mean of all.
            taken = takers + count * beside(context.mean_user, takers)
            taken = tf.concat([CONSTANT * count, taken], axis=-1)
        user, own_count = self.after_clicks(context, matched, user_row)
        prior = context.taste.score(items)
        known = items.known[..., :1]
        posterior = self.count_posterior(
            prior, count, known, self._evidence(context.amount, items.known, prior)
        )
        folded = self.clicker_posterior(items.factor, takers, count)
        fold_in = self.item_fold_in(context.inverse, user, items.factor, taken, count)
        scaled = user * self.tilt_scale
        votes = self.user_votes(user, users, positive, matched, count)
        of_user = self.user_product(self.user_dropout(user, use=_USERS, training=training))
        if pair is None:
            pair = self.pair_taste(user, items.factor, training=training)
        numbers = [
            prior / 2.0,
            posterior / 2.0,
            summed_products(scaled, folded),
            context.taste.product_score(of_user, items),
            pair,
            summed_products(scaled, items.factor),
            summed_products(scaled, self.clicker_posterior.from_takers(takers, count)),
            votes,
            3.0 * fold_in,
        ]
        weights = context.weights
        if self.units:
            third_of_log_n = beside(context.amount[:, :1], pair)
            numbers += [
                tf.math.log1p(count) - 1.5 * third_of_log_n,
                tf.math.log((count + 1.0) / (refusals + 1.0)),
                third_of_log_n,
                known,
                user_row[..., d : d + 1],
                matched.taken_by_user(),
                tf.math.log1p(own_count),
            ]
        else:
            numbers = [numbers[place] for place in _ADDED]
            weights = tf.gather(weights, _ADDED, axis=-1)
        wide = columns(pair, numbers)
        # What is added for the size of an item's factor.
        size = self.norm_scale * tf.reduce_sum(tf.square(folded), axis=-1)
        score = tf.reduce_sum(wide * beside(weights, wide), axis=-1) + size
        return score + on_flat_pairs(self._corrected, wide) if self.units else score

    def after_clicks(
        self, context: MatchContext, matched: Matched, user_row: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Factors of users after their own clicks, float32 [B, ..., d], and how many these are."""
        clicked = context.signs[..., :1] * with_first(context.item, 1.0)
        count, moved = tf.split(matched.of_users(clicked), [1, self.dimension], axis=-1)
        return self.own_clicks(self._users(user_row), moved, count), count

    def _weights(self, amount: tf.Tensor, product_weight: tf.Tensor) -> tf.Tensor:
        """What each of the numbers counts in the score of a task: float32 [B, 16].

        How much of the support there is scales those that come from it.
        """
        posterior, tilt, product, pair, votes, fold_in = (tf.one_hot(at, NUMBERS) for at in _ADDED)
        scaled = tf.stack(
            [tilt, 2.0 * posterior, self.vote_scale * votes, self.fold_scale / 3.0 * fold_in]
        )
        direct = product + pair
        gates = self.gates(self.gate_hidden(tf.concat([amount, product_weight], axis=-1)))
        return direct + tf.matmul(1.0 + gates, scaled)

    def _corrected(self, numbers: tf.Tensor) -> tf.Tensor:
        """What a small network adds, of numbers [N, 16]: float32 [N]."""
        both = tf.concat([numbers, self.correction_hidden(numbers)], axis=-1)
        return tf.squeeze(self.correction(both), axis=-1)

    def item_columns(self, item_row: tf.Tensor) -> tf.Tensor:
        """Numbers of an item of which scores without a match are nearly linear: [N, width]."""
        item = self.item_tower(item_row)
        square = tf.square(item.factor)
        return tf.concat(
            [item.base, item.taste, item.factor, item.product, square, item.known], axis=1
        )

    def with_user_view(self, row: tf.Tensor) -> tf.Tensor:
        """Rows of users that need no computing: float32 [..., d + 1] -> [..., 2 d + 1 + K]."""
        users = self._users(row)
        return tf.concat([row, users, self.user_product(users)], axis=-1)

    def _users(self, row: tf.Tensor) -> tf.Tensor:
        d = self.dimension
        if row.shape[-1] == d + 1:
            return on_flat_pairs(lambda flat: flat + self.user_map(flat), row[..., :d])
        return row[..., d + 1 : 2 * d + 1]

    def _products(self, row: tf.Tensor, users: tf.Tensor) -> tf.Tensor:
        d = self.dimension
        return self.user_product(users) if row.shape[-1] == d + 1 else row[..., 2 * d + 1 :]

    def _amount(self, size: tf.Tensor, trust: tf.Tensor) -> tf.Tensor:
        """How much there is of the support: float32 [B, 5]."""
        # Of positives, negatives and distinct items; and how many positives an item has.
        thirds = tf.constant([[1, 0, 0], [0, 0, 1], [0, 1, 0]], tf.float32) / 3.0
        mixed = tf.concat([thirds, tf.constant([[1.0], [0.0], [-1.0]])], axis=1)
        return tf.concat([tf.matmul(tf.math.log1p(size), mixed), tf.sqrt(trust)], axis=1)

    def _evidence(self, amount: tf.Tensor, known: tf.Tensor, of_item: tf.Tensor) -> tf.Tensor:
        """How much there is of the support and is known of the item: float32 [B, Q, e].

        Args:
          amount: float32 [B, 5].
          known: float32 [B, Q, k].
          of_item: float32 [B, Q, 1], any.
        """
        both = widened(beside(amount, of_item), of_item), widened(known, of_item)
        return tf.concat(both, axis=-1)

    def get_config(self) -> dict[str, Any]:
        sizes = ("dimension", "taste_features", "products", "units")
        given: dict[str, Any] = {name: getattr(self, name) for name in sizes}
        given["dropout"] = self.pair_taste.dropout.rate
        given["item_noise"] = self.item_noise.deviation
        return {**super().get_config(), **given, "seed": self.item_noise.seed}


def _mean(values: tf.Tensor, positive: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
    """The mean over the n positives, one more zero among them: float32 [B, S, d] -> [B, d]."""
    return tf.reduce_sum(positive * values, axis=1) / (n + 1.0)


def _matched(
    context: MatchContext, user: tf.Tensor, item: tf.Tensor | None, apart: int | None
) -> Matched:
    if item is None:
        return MatchedUser(context, user, apart)
    return (MatchedPairs if user.shape.rank == 2 else MatchedUsers)(context, user, item)
