"""What an ordinal model knows of users and items before it is trained.

Factor models of several sizes, a kernel of items and what is known of each item's ratings, fitted
on all ratings of users who are learned from; and, for training, once more without each fold of
these users, so that a training task meets items fitted without its user, as a new user does.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingData, RatingTasks
from cmml_tf.embeddings.ratings.rating_posterior import RatingPosterior, fit_rating_posterior
from cmml_tf.embeddings.residual_kernel import residual_kernel
from cmml_tf.embeddings.row_content import content_rows, with_constant

MOST_LEVELS = 21
BIAS_DIMENSION = 1
_LEVEL_SHRINKAGE = 10.0


class RatingScale(NamedTuple):
    """The ratings that are given.

    Attributes:
      levels: float32 [L], ascending: each rating that is given, or 21 at even distances where
        there are more.
      share: float32 [L], how often each is given.
      mean, deviation: Of all ratings.
    """

    levels: np.ndarray
    share: np.ndarray
    mean: float
    deviation: float

    @classmethod
    def of(cls, rating: np.ndarray) -> "RatingScale":
        """The scale of these ratings, float32 [N]; a single level gets a neighbour."""
        levels = np.unique(rating)
        if len(levels) > MOST_LEVELS:
            levels = np.linspace(levels[0], levels[-1], MOST_LEVELS)
        if len(levels) == 1:
            levels = np.array([levels[0], levels[0] + 1])
        deviation = float(rating.astype(np.float64).std()) or 1.0
        share = level_weights(rating, levels).mean(axis=0)
        mean = float(rating.astype(np.float64).mean())
        return cls(levels.astype(np.float32), share.astype(np.float32), mean, deviation)

    def scaled(self, rating: np.ndarray) -> np.ndarray:
        """Ratings with mean 0 and deviation 1, float64."""
        return (rating.astype(np.float64) - self.mean) / self.deviation


def level_weights(rating: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Ratings [N] as weights of the two levels that each lies between, float64 [N, L]."""
    place = np.interp(rating, levels, np.arange(len(levels)))
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(len(levels))))


class OrdinalTables(NamedTuple):
    """Rows of items and users. I items; G groups of rows, the first for everyone.

    Attributes:
      item_rows: float32 [G (I + 1), w]: of each factor model mu, v and 1 / s2, then how often the
        item was rated, then how far the share of each level lies above the usual one. The last
        row of a group is an unknown item's.
      item_place: int32 [G (I + 1)], the item's row of `kernel`.
      kernel: float16 [G (n + 1), n + 1], see `residual_kernel`; the last row and column of a group
        are zeros, for items without a place.
      item_content: float32 [I + 1, c], rows of length 1, or of zeros.
      user_priors: float32 [U + 1, w_u], of each factor model the expected factors.
      user_group: int32 [U + 1], the group that was fitted without the user; 0 where there is none.
      scale: Of the ratings; those inside the tables have mean 0 and deviation 1.
    """

    item_rows: np.ndarray
    item_place: np.ndarray
    kernel: np.ndarray
    item_content: np.ndarray
    user_priors: np.ndarray
    user_group: np.ndarray
    scale: RatingScale


def fit_ordinal_tables(
    data: RatingData, config: RatingModelConfig, seed: int, folds: int = 0
) -> OrdinalTables:
    """Fits on the ratings of `data.log`, none of whose users is asked.

    Args:
      data: Users and items.
      config: Sizes of the factor models and of the kernel, and sweeps.
      seed: Of first factors and of the folds.
      folds: Of users, each with a group of rows fitted without it; 0: none, which is what is
        served.
    """
    fit = _Fit(data, config, seed)
    groups = [fit.group(None)]
    log = data.log
    folds = min(folds, len(log)) if len(log) > 1 else 0
    fold = np.random.default_rng(seed).permutation(len(log)) % max(folds, 1)
    user_group = np.zeros(len(data.user_ids) + 1, np.int32)
    if folds:
        user_group[log.user] = fold + 1
    groups += [fit.group(fold != one) for one in range(folds)]
    priors = np.stack([group.priors for group in groups])  # [G, U + 1, w_u]
    place, size = fit.place, fit.kernel_size
    return OrdinalTables(
        np.concatenate([group.item_rows for group in groups]),
        np.concatenate([place + g * size for g in range(len(groups))]).astype(np.int32),
        np.concatenate([group.kernel for group in groups]),
        fit.similar_content,
        priors[user_group, np.arange(len(user_group))],
        user_group,
        fit.scale,
    )


class _Group(NamedTuple):
    item_rows: np.ndarray
    kernel: np.ndarray
    priors: np.ndarray


class _Fit:
    """Fits groups of rows on the same ratings."""

    def __init__(self, data: RatingData, config: RatingModelConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        log, users, items = data.log, len(data.user_ids), len(data.item_ids)
        self.scale = RatingScale.of(log.rating)
        self._ratings = _matrix(log, self.scale.scaled(log.rating), items)
        self._level_weights = level_weights(log.rating, self.scale.levels)
        self._log, self._items = log, items
        self._user_content = with_constant(content_rows(data.user_columns, users))
        self._item_content = with_constant(content_rows(data.item_columns, items))
        self.similar_content = _unit_rows(content_rows(data.item_columns, items, ["multi-hot"]))
        count = np.bincount(log.item, minlength=items)
        often = np.argsort(-count, kind="stable")[: config.kernel_items]
        self._placed = np.sort(often[count[often] > 0])
        self.kernel_size = len(self._placed) + 1
        self.place = np.full(items + 1, len(self._placed))
        self.place[self._placed] = np.arange(len(self._placed))

    def group(self, kept: np.ndarray | None) -> _Group:
        """Rows fitted on some of the users, bool [T]; None: on all."""
        users = np.arange(len(self._log)) if kept is None else np.flatnonzero(kept)
        ratings = self._ratings[users]
        rated = ratings.copy()
        rated.data = np.ones_like(rated.data)
        content = self._user_content[self._log.user[users]]
        models = [
            fit_rating_posterior(
                ratings, content, self._item_content, d, self._config.factor_sweeps, self._seed
            )
            for d in (BIAS_DIMENSION, *self._config.factor_sizes)
        ]
        rows = np.repeat(np.isin(np.arange(len(self._log)), users), self._log.lengths)
        parts = [_model_rows(model) for model in models] + [self._counts(rows)]
        priors = [self._user_content @ model.prior for model in models]
        return _Group(
            np.concatenate(parts, axis=1).astype(np.float32),
            self._kernel(models[0], ratings, rated, content),
            np.concatenate(priors, axis=1).astype(np.float32),
        )

    def _kernel(
        self, bias: RatingPosterior, ratings: csr_matrix, rated: csr_matrix, content: np.ndarray
    ) -> np.ndarray:
        mean, _ = bias.users(ratings, rated, content)
        coordinates = ratings.tocoo()
        user, item = coordinates.row, coordinates.col
        expected = bias.mean[item] + (bias.factors[item] * mean[user]).sum(axis=1)
        residual = csr_matrix((coordinates.data - expected, (user, item)), ratings.shape)
        return np.pad(residual_kernel(residual, rated, self._placed), ((0, 1), (0, 1)))

    def _counts(self, rows: np.ndarray) -> np.ndarray:
        """[I + 1, 1 + L]: how often an item was rated, and its levels beside the usual ones."""
        item, weights = self._log.item[rows], self._level_weights[rows]
        count = np.bincount(item, minlength=self._items + 1)[:, None]
        levels = np.stack(
            [np.bincount(item, one, minlength=self._items + 1) for one in weights.T], axis=1
        )
        above = (levels - count * self.scale.share) / (count + _LEVEL_SHRINKAGE)
        return np.concatenate([count, above], axis=1)


def _matrix(log: RatingTasks, rating: np.ndarray, items: int) -> csr_matrix:
    return csr_matrix((rating, log.item, log.starts), (len(log), items))


def _model_rows(model: RatingPosterior) -> np.ndarray:
    precision = np.full((len(model.mean), 1), 1.0 / model.noise)
    return np.concatenate([model.mean[:, None], model.factors, precision], axis=1)


def _unit_rows(content: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.square(content).sum(axis=1, keepdims=True))
    return content / np.maximum(length, 1e-6)
