"""Item-kNN on residuals: how far a user's ratings of similar items lie above what is expected.

  r(u, i) = e(u, i) + sum_j s_ij (r_uj - e(u, j)) / (sum_j |s_ij| + c),

j over the user's support ratings, e the item's mean plus the user's bias, and s the cosine of the
residuals of those who rated both items, drawn to 0 by b such users: n / (n + b). c is the weight of
having no neighbour.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.baselines.simple_ratings.means import ItemMeanAndUserBias, ItemMeans
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.types import Support, lengths_mask

_MOST_NEIGHBOURS = 400
_ITEMS_AT_ONCE = 256
_MOST_USERS = 20_000


@dataclass(frozen=True)
class Similarity:
    """Cosines of items' residuals and how many rated both, of the pairs of items that matter.

    Attributes:
      items: I of the catalogue.
      key: int64 [K], i * I + j, sorted; pairs with the largest cosine n / (n + 1) of each i.
      cosine: float32 [K].
      raters: float32 [K], users who rated both.
    """

    items: int
    key: np.ndarray
    cosine: np.ndarray
    raters: np.ndarray

    @classmethod
    def of(cls, tasks: RatingTasks, means: ItemMeans) -> "Similarity":
        """Of users that are learned from, of more than `_MOST_USERS` so many at random."""
        if len(tasks) > _MOST_USERS:
            some = np.random.default_rng(0).permutation(len(tasks))[:_MOST_USERS]
            tasks = tasks.take(np.sort(some))
        items = len(means.item)
        user = np.repeat(np.arange(len(tasks)), tasks.lengths)
        above = tasks.rating - means.item[tasks.item]
        shape = (len(tasks), items)
        bias = np.bincount(user, above, len(tasks)) / np.maximum(tasks.lengths, 1)
        residual = csr_matrix((above - bias[user], (user, tasks.item)), shape)
        rated = csr_matrix((np.ones(len(user)), (user, tasks.item)), shape)
        length = np.sqrt(np.asarray(residual.multiply(residual).sum(axis=0)).ravel()) + 1e-9
        # A product with columns on both sides has its rows in order of their items.
        rated_columns, residual_columns = rated.tocsc(), residual.tocsc()
        product = np.zeros(items)
        keys, cosines, raters = [], [], []
        for first in range(0, items, _ITEMS_AT_ONCE):
            part = slice(first, first + _ITEMS_AT_ONCE)
            both = (rated[:, part].T @ rated_columns).tocsr()
            products = (residual[:, part].T @ residual_columns).tocsr()
            for row in range(both.shape[0]):
                one = slice(both.indptr[row], both.indptr[row + 1])
                other, count = both.indices[one], both.data[one]
                span = slice(products.indptr[row], products.indptr[row + 1])
                product[products.indices[span]] = products.data[span]
                cosine = product.take(other) / (length[first + row] * length.take(other))
                product[products.indices[span]] = 0.0
                kept = _largest(np.abs(cosine) * count / (count + 1.0), _MOST_NEIGHBOURS)
                keys.append((first + row) * np.int64(items) + other[kept])
                cosines.append(cosine[kept])
                raters.append(count[kept])
        return cls(
            items,
            np.concatenate(keys),
            np.concatenate(cosines).astype(np.float32),
            np.concatenate(raters).astype(np.float32),
        )

    def between(self, item: np.ndarray, other: np.ndarray, shrinkage: float) -> np.ndarray:
        """float64 of the shape of both, int: shrunken cosines, 0 for pairs that do not matter."""
        key = item.astype(np.int64) * self.items + other
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        raters = self.raters[place].astype(np.float64)
        similar = self.cosine[place] * raters / (raters + shrinkage)
        return np.where((self.key[place] == key) & (item != other), similar, 0.0)


def _largest(values: np.ndarray, most: int) -> np.ndarray:
    """Places of the largest values, ascending; of equal ones those that come first."""
    if len(values) <= most:
        return np.arange(len(values))
    least = np.partition(values, -most)[-most]
    kept = values > least
    equal = np.flatnonzero(values == least)
    kept[equal[: most - np.count_nonzero(kept)]] = True
    return np.flatnonzero(kept)


class RatingItemKnn:
    """See above. A `Scorer`.

    Args:
      means: Of the ratings that are learned from.
      similarity: Of the same.
      shrinkage: b.
      weight: c.
    """

    reads_support = True

    def __init__(
        self, means: ItemMeans, similarity: Similarity, shrinkage: float, weight: float
    ) -> None:
        self.settings = {"shrinkage": shrinkage, "weight": weight}
        self._means, self._expected = means, ItemMeanAndUserBias(means)
        self._similarity, self._shrinkage, self._weight = similarity, shrinkage, weight

    def adapt(self, support: Support) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each user the bias [B], and of each rating the item and its residual, [B, S]."""
        bias = self._expected.adapt(support)
        valid = lengths_mask(support.length, support.label.shape[1])
        above = support.label - self._means.item[support.item] - bias[:, None]
        return bias, np.asarray(support.item), np.where(valid, above, np.nan)

    def score(
        self,
        adapted: tuple[np.ndarray, np.ndarray, np.ndarray],
        user: np.ndarray,
        item: np.ndarray,
    ) -> np.ndarray:
        """float64 [B, Q]."""
        bias, other, above = adapted
        pairs = np.broadcast_arrays(item[:, :, None], other[:, None, :])
        similar = self._similarity.between(*pairs, self._shrinkage)
        similar = np.where(np.isnan(above)[:, None, :], 0.0, similar)
        moved = np.einsum("bqs,bs->bq", similar, np.nan_to_num(above))
        strength = np.abs(similar).sum(axis=2) + self._weight
        return self._expected.score(bias, user, item) + moved / strength
