"""ItemPop: rank by the item's count in the support set (the paper's table 2)."""

import numpy as np

from cmml_tf.types import Support, lengths_mask


class ItemPop:
    """How often an item is a positive of the support set, the same for every user.

    A `Scorer`; equal counts are ties, which the metrics break at random.
    """

    def adapt(self, support: Support) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each task the items that are positives, sorted, and their counts."""
        read = lengths_mask(support.length, support.label.shape[1]) & (support.label > 0.5)
        items = np.asarray(support.item)
        return [
            np.unique(row[own], return_counts=True) for row, own in zip(items, read, strict=True)
        ]

    def score(
        self, adapted: list[tuple[np.ndarray, np.ndarray]], user: np.ndarray, item: np.ndarray
    ) -> np.ndarray:
        """float32 [B, Q]."""
        del user
        scores = np.zeros(item.shape, np.float32)
        for row, (items, counts) in enumerate(adapted):
            if len(items):
                place = np.minimum(np.searchsorted(items, item[row]), len(items) - 1)
                scores[row] = np.where(items[place] == item[row], counts[place], 0)
        return scores
