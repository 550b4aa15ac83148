"""Training tasks as services meet them: any size of support, with negatives or without."""

import tensorflow as tf

from cmml_tf.config import EpisodeConfig
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.episodes.hiding import Hiding
from cmml_tf.episodes.sampler import EpisodeSampler
from cmml_tf.episodes.unclicked import UnclickedItems
from cmml_tf.types import Episode, Support

_WITHOUT_CLICKS, _SHOWN_ALONE, _WHOLE, _WITHOUT_ASKED_USERS = 0.12, 0.04, 0.1, 0.6
# How much a positive counts whose item is hidden: what nobody has taken is to be found, too.
_HIDDEN = 1.15
# Supports are filled up to a multiple: a product of sizes that were not met before costs the making
# of its code, which takes longer than some pairs that count for nothing.
_SIZE_STEP = 64
# Streams of random numbers beside those of the base class, at negative counters of its last ones.
_UNCLICKED, _SIZES = 2, 3


class MatchingSampler(EpisodeSampler):
    """Tasks whose support is of any size and of which little may be known.

    As `EpisodeSampler`, but: the number of support positives is drawn anew for each task, as often
    a small as a large one on a logarithmic scale, some none and some all, none repeated; each has
    0, 1 or 2 negatives (as many as `support_negatives` has room for); a third of the supports
    without a positive hold the negatives of some, as where a scenario's items are known and no
    click yet; in some tasks those who are asked have no pair in the support, as where new users are
    asked; where items have a click or two each, some are taken for unclicked (`UnclickedItems`);
    users and items are hidden (`Hiding`); each query positive has N negatives, in the order
    that `SoftmaxTask` takes. Users of the query [B, P] stand there once, its pair k being of user k
    mod P. What is reported is a mean over users, and those who take much are drawn often: so the
    label of a positive, 1 on average, falls with the root of how many items of the scenario its
    user has taken; it is 1.15 times as much where the item is hidden.

    Args:
      data: `TrainingTables.data`; rows are keys.
      config: Sizes; `short_supports` and `empty_supports` are not read.
      seed: With the step, fixes every draw.
      hiding: What is hidden; None: nothing.
      query_negatives: N.
    """

    def __init__(
        self,
        data: ScenarioData,
        config: EpisodeConfig,
        seed: int,
        hiding: Hiding | None,
        query_negatives: int = 16,
    ) -> None:
        super().__init__(data, config, seed)
        self._hiding = hiding
        self._query_negatives = query_negatives
        self._unclicked = UnclickedItems(self.clicks_of_items())

    def sample(self, step: tf.Tensor) -> Episode:
        """The tasks of a step, int64 keys.

        Args:
          step: int64 scalar, from 0.
        """
        config = self._config
        scenario = self.scenarios(step)
        support, query = self._choose_pairs(scenario, step)  # [B, P], [B, P']
        place = tf.range(config.support_negatives) % config.support_positives
        negative_of = tf.gather(support, place, axis=1)
        position = tf.concat(
            [
                tf.gather(self._pair_position, support),
                self._other_items(scenario, negative_of, step),
            ],
            axis=1,
        )
        user = tf.gather(self._pair_user, tf.concat([support, negative_of], axis=1))
        query_user = tf.gather(self._pair_user, query)
        positives = config.support_positives
        kept = self._kept(scenario, user[:, :positives], position[:, :positives], query_user, step)
        label = tf.concat(
            [tf.ones_like(kept[:, :positives], tf.float32),
             tf.zeros_like(kept[:, positives:], tf.float32)], axis=1
        )  # fmt: skip
        compared = tf.tile(query, [1, self._query_negatives])
        query_item = tf.concat(
            [
                self._items(scenario, tf.gather(self._pair_position, query)),
                self._items(scenario, self._untaken_items(scenario, compared, step)),
            ],
            axis=1,
        )
        episode = Episode(
            _compact(Support(user, self._items(scenario, position), label, kept)),
            tf.cast(query_user, tf.int64),
            tf.cast(query_item, tf.int64),
            tf.concat([self._counts_for(query), tf.zeros_like(compared, tf.float32)], axis=1),
        )
        if self._hiding is None:
            return episode
        episode = self._hiding(episode, step)
        times = tf.where(self._hiding.hides(episode.query_item), _HIDDEN, 1.0)
        return episode._replace(query_label=episode.query_label * times)

    def _counts_for(self, query: tf.Tensor) -> tf.Tensor:
        """float32 [B, P], how much each positive counts."""
        group = tf.cast(tf.gather(self._pair_group, query), tf.int64)
        taken = tf.gather(self._group_start, group + 1) - tf.gather(self._group_start, group)
        weight = tf.math.rsqrt(tf.cast(taken, tf.float32))
        return weight / tf.reduce_mean(weight, axis=1, keepdims=True)

    def _support_counts(self, scenario: tf.Tensor) -> tf.Tensor:
        """int64 [B]: two thirds of a scenario's pairs at the most, so that many are left to ask."""
        count = tf.gather(self._pair_start, scenario + 1) - tf.gather(self._pair_start, scenario)
        return tf.clip_by_value(count * 2 // 3, 1, self._config.support_positives)

    def _kept(
        self,
        scenario: tf.Tensor,
        user: tf.Tensor,
        position: tf.Tensor,
        query_user: tf.Tensor,
        step: tf.Tensor,
    ) -> tf.Tensor:
        """bool [B, P + negatives]: which support pairs a task has."""
        config = self._config
        drawn = tf.random.stateless_uniform(
            [4, config.tasks_per_step], self._stream(_SIZES, -1 - step)
        )
        most = tf.cast(self._support_counts(scenario), tf.float32)
        size = tf.round(tf.exp(drawn[0] * tf.math.log(most)))
        shown = drawn[1] < _SHOWN_ALONE
        special = ~shown & (drawn[1] < _WITHOUT_CLICKS + _WHOLE)
        size = tf.where(special, tf.where(drawn[1] < _WITHOUT_CLICKS, 0.0, most), size)
        place = tf.range(config.support_positives)[None]
        kept = place < tf.cast(size, tf.int32)[:, None]
        asked = tf.reduce_any(user[:, :, None] == query_user[:, None], axis=-1)
        kept &= ~(asked & (drawn[2] < _WITHOUT_ASKED_USERS)[:, None])
        if self._unclicked.any:
            stream = self._stream(_UNCLICKED, -1 - step)
            kept &= ~self._unclicked(scenario, position, kept, stream)
        negatives = tf.range(config.support_negatives)
        each = tf.cast(drawn[3] * 3.0, tf.int32)[:, None]  # 0, 1 or 2 for each positive
        each = tf.where(shown[:, None], tf.maximum(each, 1), each)
        allowed = negatives[None] // config.support_positives < each
        of_kept = tf.gather(kept, negatives % config.support_positives, axis=1)
        return tf.concat([kept & ~shown[:, None], of_kept & allowed], axis=1)


def _compact(support: Support) -> Support:
    """Pairs that are kept in front, and of those that are not as many as the longest task needs.

    Most supports are far smaller than the largest, and what stands behind the length costs as much
    as what counts. The size is a multiple of 64, or all there is.

    Args:
      support: As `Support`, but for `length`: bool [B, S], which pairs are kept.
    """
    order = tf.argsort(tf.cast(~support.length, tf.int32), axis=1, stable=True)
    length = tf.reduce_sum(tf.cast(support.length, tf.int32), axis=1)
    longest = tf.maximum(tf.reduce_max(length), 1)
    order = order[:, : -(-longest // _SIZE_STEP) * _SIZE_STEP]
    user, item, label = (tf.gather(part, order, batch_dims=1) for part in support[:3])
    return Support(tf.cast(user, tf.int64), tf.cast(item, tf.int64), label, length)
