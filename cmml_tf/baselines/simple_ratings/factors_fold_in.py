"""Biased matrix factorisation, a new user's factors solved from the support in closed form.

  rating = mean + item offset + <1 and item factors, w>,   w = (X^T X + P)^-1 X^T y,

X the rows [1, item factors] of the support, y what the ratings lie above mean and item offset, P
the penalties that the items were fitted with.
"""

import numpy as np

from cmml_tf.types import Support, lengths_mask


class FactorsFoldIn:
    """See above. A `Scorer`.

    Args:
      mean: Of the ratings.
      offset: float [I].
      factors: float [I, k].
      penalty: Of each factor.
      offset_penalty: Of the user's offset.
    """

    reads_support = True

    def __init__(
        self,
        mean: float,
        offset: np.ndarray,
        factors: np.ndarray,
        penalty: float,
        offset_penalty: float,
    ) -> None:
        self.settings = {"penalty": penalty}
        self._expected = mean + offset.astype(np.float64)
        ones = np.ones((len(factors), 1))
        self._features = np.concatenate([ones, factors.astype(np.float64)], axis=1)
        self._penalties = np.array([offset_penalty, *[penalty] * factors.shape[1]])

    def adapt(self, support: Support) -> np.ndarray:
        """Each user's w, float64 [B, 1 + k]."""
        valid = lengths_mask(support.length, support.label.shape[1])
        x = self._features[support.item] * valid[:, :, None]
        y = np.where(valid, support.label - self._expected[support.item], 0.0)
        gram = np.einsum("bsk,bsl->bkl", x, x) + np.diag(self._penalties)
        return np.linalg.solve(gram, np.einsum("bsk,bs->bk", x, y)[:, :, None])[:, :, 0]

    def score(self, adapted: np.ndarray, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float64 [B, Q]."""
        del user
        return self._expected[item] + np.einsum("bqk,bk->bq", self._features[item], adapted)
