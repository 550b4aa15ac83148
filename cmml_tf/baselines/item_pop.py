"""ItemPop: rank by the item's count in the support set (the paper's table 2)."""

import numpy as np

from cmml_tf.episodes.evaluation_episodes import EvaluationEpisode


def item_popularity_scores(episode: EvaluationEpisode) -> np.ndarray:
    """How often each candidate is a positive of the support set, the same for every user.

    Returns:
      float32 [U, I]; equal counts are ties, which the metrics break at random.
    """
    support = episode.support
    valid = np.arange(support.user.shape[1]) < support.length[0]
    positives = support.item[0][valid & (support.label[0] > 0.5)]
    place = np.searchsorted(episode.candidates, positives)
    place = np.minimum(place, len(episode.candidates) - 1)
    known = episode.candidates[place] == positives
    counts = np.bincount(place[known], minlength=len(episode.candidates))
    return np.tile(counts.astype(np.float32), (len(episode.users), 1))
