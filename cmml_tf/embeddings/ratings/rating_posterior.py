"""A Bayesian factor model of ratings, fitted by expectation maximisation.

  r_ui = mu_i + <v_i, u> + e,   u ~ N(A^T x_u, I),   e ~ N(0, s2),   [mu_i, v_i] ~ N(B^T c_i, T),

x_u and c_i what is known of user and item. A new user's factors are then a posterior in closed
form, from whatever number of ratings there is; without any they are expected to be A^T x_u.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

_USERS_AT_ONCE = 4096
_USER_PENALTY, _ITEM_PENALTY = 30.0, 20.0
_MOST_WEIGHT = 20.0  # an item with more ratings says no more about the regression on content
_FIRST_NOISE, _FIRST_LOADING, _LEAST_VARIANCE = 0.7, 0.4, 1e-3
_MEAN_SHRINKAGE = 5.0


class RatingPosterior(NamedTuple):
    """A fitted model; ratings have mean 0 and deviation 1.

    Attributes:
      mean: float64 [I + 1], mu; the last row is that of an unknown item.
      factors: float64 [I + 1, d], v.
      noise: s2.
      prior: float64 [c_u, d], A.
    """

    mean: np.ndarray
    factors: np.ndarray
    noise: float
    prior: np.ndarray

    def users(
        self, ratings: csr_matrix, rated: csr_matrix, content: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The posterior of users.

        Args:
          ratings: [U, I], scaled.
          rated: The same with ones.
          content: float [U, c_u].

        Returns:
          Means float64 [U, d] and covariances float64 [U, d, d].
        """
        items, d = len(self.mean) - 1, self.factors.shape[1]
        mean, factors = self.mean[:items], self.factors[:items]
        upper = np.triu_indices(d)
        products = factors[:, upper[0]] * factors[:, upper[1]]
        precision = np.empty((ratings.shape[0], d, d))
        precision[:, upper[0], upper[1]] = (rated @ products) / self.noise
        precision[:, upper[1], upper[0]] = precision[:, upper[0], upper[1]]
        precision += np.eye(d)
        moment = (ratings @ factors - rated @ (mean[:, None] * factors)) / self.noise
        covariance = np.linalg.inv(precision)
        expected = content @ self.prior
        return np.einsum("uij,uj->ui", covariance, expected + moment), covariance


def fit_rating_posterior(
    ratings: csr_matrix,
    user_content: np.ndarray,
    item_content: np.ndarray,
    dimension: int,
    sweeps: int,
    seed: int,
) -> RatingPosterior:
    """Fits the model to all ratings of some users.

    Args:
      ratings: [U, I], of mean 0 and deviation 1; what is not stored is not rated.
      user_content: float [U, c_u], a constant among its columns.
      item_content: float [I + 1, c_i], likewise; the last row is that of an unknown item.
      dimension: d.
      sweeps: Of expectation and maximisation.
      seed: Of the first factors.
    """
    items, d = ratings.shape[1], dimension
    rng = np.random.default_rng(seed)
    rated = ratings.copy()
    rated.data = np.ones_like(rated.data)
    count = np.asarray(rated.sum(axis=0)).ravel()
    total = np.asarray(ratings.sum(axis=0)).ravel()
    weight = np.minimum(count, _MOST_WEIGHT)[:, None]
    content = item_content[:items].astype(np.float64)
    regression = np.linalg.solve(
        content.T @ (content * weight) + _ITEM_PENALTY * np.eye(content.shape[1]),
        (content * weight).T,
    )
    factors = rng.normal(0.0, 0.1, (items, d))
    factors[:, 0] = _FIRST_LOADING
    sides = np.concatenate([(total / (count + _MEAN_SHRINKAGE))[:, None], factors], axis=1)
    noise, prior = _FIRST_NOISE, np.zeros((user_content.shape[1], d))
    users = user_content.astype(np.float64)
    gram = users.T @ users + _USER_PENALTY * np.eye(users.shape[1])
    content_weights = np.zeros((content.shape[1], d + 1))

    def fitted() -> RatingPosterior:
        whole = np.concatenate([sides, item_content[items:].astype(np.float64) @ content_weights])
        return RatingPosterior(whole[:, 0], whole[:, 1:], noise, prior)

    for _ in range(sweeps):
        means, sums = _expectation(fitted(), ratings, rated, users)
        prior = np.linalg.solve(gram, users.T @ means)
        content_weights = regression @ sides
        expected = content @ content_weights
        spread = (weight * (sides - expected) ** 2).sum(axis=0) / weight.sum()
        penalty = noise / np.maximum(spread, _LEAST_VARIANCE)
        sides = np.linalg.solve(
            sums.products + np.diag(penalty), (sums.moments + expected * penalty)[:, :, None]
        )[:, :, 0]
        explained = 2 * sides * sums.moments
        explained -= sides * np.einsum("ikl,il->ik", sums.products, sides)
        noise = float(np.square(ratings.data, dtype=np.float64).sum() - explained.sum())
        noise = max(noise / ratings.nnz, _LEAST_VARIANCE)
    return fitted()


class _Sums(NamedTuple):
    """Over the users of each item: E[z z^T], [I, d + 1, d + 1], and r E[z], z = [1, u]."""

    products: np.ndarray
    moments: np.ndarray


def _expectation(
    model: RatingPosterior, ratings: csr_matrix, rated: csr_matrix, content: np.ndarray
) -> tuple[np.ndarray, _Sums]:
    users, items = ratings.shape
    d = model.factors.shape[1]
    upper = np.triu_indices(d + 1)
    packed, moments = np.zeros((items, len(upper[0]))), np.zeros((items, d + 1))
    means = np.empty((users, d))
    for first in range(0, users, _USERS_AT_ONCE):
        part = slice(first, first + _USERS_AT_ONCE)
        mean, covariance = model.users(ratings[part], rated[part], content[part])
        means[part] = mean
        side = np.concatenate([np.ones((len(mean), 1)), mean], axis=1)
        second = side[:, :, None] * side[:, None, :]
        second[:, 1:, 1:] += covariance
        packed += rated[part].T @ second[:, upper[0], upper[1]]
        moments += ratings[part].T @ side
    products = np.empty((items, d + 1, d + 1))
    products[:, upper[0], upper[1]] = packed
    products[:, upper[1], upper[0]] = packed
    return means, _Sums(products, moments)
