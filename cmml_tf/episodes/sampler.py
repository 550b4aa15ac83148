"""Sampling of a batch of training tasks as one function of (seed, step) (paper section 2)."""

import numpy as np
import tensorflow as tf

from cmml_tf.config import EpisodeConfig
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.episodes.permutation import ROUNDS, permute
from cmml_tf.episodes.scenario_index import index_scenarios
from cmml_tf.episodes.shared_memory import shared_tensor
from cmml_tf.episodes.sub_scenarios import with_sub_scenarios
from cmml_tf.types import Episode, Support

# Streams of random numbers within a step: a new use takes a new number.
_SCENARIO, _PAIRS, _SUPPORT_NEGATIVES, _QUERY_NEGATIVES = range(4)


class EpisodeSampler:
    """Draws the tasks of any training step, without the steps before it.

    A task's support and query positives are different pairs of its scenario, drawn without
    repetition; a scenario with too few pairs is divided in proportion and its pairs repeat. A
    support negative is the user of a support positive with another item of the scenario; a query
    negative is the user of a query positive with an item of the scenario that the user has not
    taken. Every scenario comes once before any comes again. By configuration, some support sets are
    cut short or emptied, and random parts of the scenarios are sampled beside them.

    Args:
      data: Its meta-training scenarios are sampled.
      config: Sizes.
      seed: With the step, fixes every draw.

    Raises:
      ValueError: A scenario is too small, or there is none.
    """

    def __init__(self, data: ScenarioData, config: EpisodeConfig, seed: int) -> None:
        meta_train = with_sub_scenarios(data.meta_train, config.sub_scenarios, seed)
        scenarios = len(meta_train)
        index = index_scenarios(meta_train, data.history_users, data.history_items)
        self.pairs_without_negative = index.pairs_without_negative
        self._config = config
        self._seed = seed
        self._scenarios = scenarios
        self._stride = index.stride
        self._pair_start = tf.constant(index.pair_start)
        self._pair_user = shared_tensor(index.pair_user)
        self._pair_position = shared_tensor(index.pair_position)
        self._pair_group = shared_tensor(index.pair_group)
        self._item_start = tf.constant(index.item_start)
        self._item_row = shared_tensor(index.item_row)
        self._group_start = shared_tensor(index.group_start)
        self._gap_keys = shared_tensor(index.gap_keys)

    def sample(self, step: tf.Tensor) -> Episode:
        """The tasks of a step.

        Args:
          step: int64 scalar, from 0.

        Returns:
          An `Episode` of `tasks_per_step` tasks; S and Q as configured.
        """
        config = self._config
        scenario = self.scenarios(step)  # [B]
        support, query = self._choose_pairs(scenario, step)  # [B, P], [B, P']

        negatives_of = tf.range(config.support_negatives) % config.support_positives
        support_of = tf.concat([support, tf.gather(support, negatives_of, axis=1)], axis=1)
        positives = config.support_positives
        support_position = tf.concat(
            [
                tf.gather(self._pair_position, support),
                self._other_items(scenario, support_of[:, positives:], step),
            ],
            axis=1,
        )
        query_position = tf.concat(
            [tf.gather(self._pair_position, query), self._untaken_items(scenario, query, step)],
            axis=1,
        )
        query_user = tf.gather(self._pair_user, query)
        tasks = config.tasks_per_step
        support = Support(
            user=tf.gather(self._pair_user, support_of),
            item=self._items(scenario, support_position),
            label=_labels(tasks, positives, config.support_negatives),
            length=tf.fill([tasks], config.support_size),
        )
        return Episode(
            self._cut(support, step),
            query_user=tf.concat([query_user, query_user], axis=1),
            query_item=self._items(scenario, query_position),
            query_label=_labels(tasks, config.query_positives, config.query_positives),
        )

    def clicks_of_items(self) -> list[np.ndarray]:
        """Of each scenario int64 [I], the pairs of each of its items."""
        pairs, items = self._pair_start.numpy(), np.diff(self._item_start.numpy())
        position = self._pair_position.numpy()
        return [
            np.bincount(position[first:last], minlength=count)
            for first, last, count in zip(pairs[:-1], pairs[1:], items, strict=True)
        ]

    def _cut(self, support: Support, step: tf.Tensor) -> Support:
        """Some of the support sets smaller or empty; positives and negatives keep their ratio."""
        config = self._config
        if config.short_supports == 0 and config.empty_supports == 0:
            return support
        tasks, size = config.tasks_per_step, config.support_size
        # Training steps count from 0, so the negative counters of a stream are free.
        drawn = tf.random.stateless_uniform([3, tasks], self._stream(_PAIRS, -1 - step))
        # Small sizes are as likely as large ones on a logarithmic scale.
        share = tf.exp(drawn[0] * tf.math.log(config.support_positives + 1.0)) - 1.0
        share /= config.support_positives
        share = tf.where(drawn[1] < config.short_supports, share, 1.0)
        share = tf.where(drawn[2] < config.empty_supports, 0.0, share)
        positives = tf.cast(share * config.support_positives, tf.int32)[:, None]
        negatives = tf.cast(share * config.support_negatives, tf.int32)[:, None]
        place = tf.range(size)[None]
        place += tf.where(place < positives, 0, config.support_positives - positives)
        place = tf.minimum(place, size - 1)  # what lies behind the length is not read
        user, item, label = (tf.gather(part, place, batch_dims=1) for part in support[:3])
        return Support(user, item, label, tf.squeeze(positives + negatives, axis=1))

    def scenarios(self, step: tf.Tensor) -> tf.Tensor:
        """int64 [B]: the next places in a sequence of shuffled rounds over all scenarios."""
        tasks, scenarios = self._config.tasks_per_step, self._scenarios
        place = step * tasks + tf.range(tasks, dtype=tf.int64)
        lap = place // scenarios
        touched = (tasks - 1) // scenarios + 2  # laps that a step may be part of
        keys = [self._keys(_SCENARIO, lap[0] + number, 1)[0] for number in range(touched)]
        keys = tf.gather(tf.stack(keys), lap - lap[0])
        size = tf.fill([tasks], tf.constant(scenarios, tf.int64))
        return permute((place % scenarios)[:, None], size, keys)[:, 0]

    def _choose_pairs(self, scenario: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """int64 [B, P] and [B, P']: places of the support and query positives among all pairs."""
        wanted_support, wanted_query = (
            self._config.support_positives,
            self._config.query_positives,
        )
        start = tf.gather(self._pair_start, scenario)
        count = tf.gather(self._pair_start, scenario + 1) - start
        support_count = self._support_counts(scenario)[:, None]
        query_count = tf.minimum(count[:, None] - support_count, wanted_query)
        place = tf.concat(
            [
                tf.range(wanted_support, dtype=tf.int64)[None] % support_count,
                support_count + tf.range(wanted_query, dtype=tf.int64)[None] % query_count,
            ],
            axis=1,
        )
        keys = self._keys(_PAIRS, step, self._config.tasks_per_step)
        chosen = start[:, None] + permute(place, count, keys)
        return chosen[:, :wanted_support], chosen[:, wanted_support:]

    def _support_counts(self, scenario: tf.Tensor) -> tf.Tensor:
        """int64 [B]: how many of a task's support positives are different pairs."""
        wanted = self._config.support_positives
        count = tf.gather(self._pair_start, scenario + 1) - tf.gather(self._pair_start, scenario)
        share = count * wanted // (wanted + self._config.query_positives)
        return tf.clip_by_value(share, 1, wanted)

    def _other_items(self, scenario: tf.Tensor, pair: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """int32 [B, N]: a position in the scenario that is not the pair's own."""
        own = tf.gather(self._pair_position, pair)
        count = self._item_counts(scenario)[:, None] - 1
        drawn = self._below(tf.broadcast_to(count, tf.shape(pair)), _SUPPORT_NEGATIVES, step)
        drawn = tf.cast(drawn, tf.int32)
        return drawn + tf.cast(drawn >= own, tf.int32)

    def _untaken_items(self, scenario: tf.Tensor, pair: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """int32 [B, N]: a position in the scenario that the pair's user has not taken."""
        group = tf.cast(tf.gather(self._pair_group, pair), tf.int64)
        first = tf.gather(self._group_start, group)
        taken = tf.gather(self._group_start, group + 1) - first
        rank = self._below(self._item_counts(scenario)[:, None] - taken, _QUERY_NEGATIVES, step)
        key = tf.reshape(group * self._stride + rank, [-1])
        found = tf.searchsorted(self._gap_keys, key, side="right", out_type=tf.int64)
        return tf.cast(rank + tf.reshape(found, tf.shape(pair)) - first, tf.int32)

    def _item_counts(self, scenario: tf.Tensor) -> tf.Tensor:
        start = tf.gather(self._item_start, scenario)
        return tf.gather(self._item_start, scenario + 1) - start

    def _items(self, scenario: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        start = tf.gather(self._item_start, scenario)[:, None]
        return tf.gather(self._item_row, start + tf.cast(position, tf.int64))

    def _keys(self, stream: int, counter: tf.Tensor, rows: int) -> tf.Tensor:
        return tf.random.stateless_uniform(
            [rows, ROUNDS], self._stream(stream, counter), None, None, tf.int64
        )

    def _below(self, limit: tf.Tensor, stream: int, step: tf.Tensor) -> tf.Tensor:
        """int64 of `limit`'s shape [B, N]: uniform, at least 0 and below the limit."""
        drawn = tf.random.stateless_uniform(
            tf.shape(limit), self._stream(stream, step), dtype=tf.float64
        )
        return tf.cast(drawn * tf.cast(limit, tf.float64), tf.int64)

    def _stream(self, stream: int, counter: tf.Tensor) -> tf.Tensor:
        return tf.stack([tf.constant(self._seed * 4 + stream, tf.int64), counter])


def _labels(tasks: int, positives: int, negatives: int) -> tf.Tensor:
    return tf.concat([tf.ones([tasks, positives]), tf.zeros([tasks, negatives])], axis=1)
