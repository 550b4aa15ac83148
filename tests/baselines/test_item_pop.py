"""ItemPop counts positives of the support set, for everyone alike."""

import numpy as np

from cmml_tf.baselines.item_pop import item_popularity_scores
from cmml_tf.episodes import EvaluationEpisode
from cmml_tf.types import Support


def _episode(items, labels, length, candidates=(3, 5, 8), users=2):
    items = np.array([items], np.int32)
    support = Support(items * 0, items, np.array([labels], np.float32), np.array([length]))
    relevant = np.zeros((users, len(candidates)), bool)
    return EvaluationEpisode("s", support, np.arange(users), np.array(candidates), relevant)


def test_counts_positives_only():
    episode = _episode([5, 3, 5, 8, 8, 8], [1, 1, 1, 1, 0, 0], 6)
    scores = item_popularity_scores(episode)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, [[1, 2, 1], [1, 2, 1]])


def test_padding_and_items_of_other_scenarios_do_not_count():
    # The last two lie behind the length; 4 and 9 are no candidates (a swapped support set).
    episode = _episode([5, 4, 9, 0, 3, 3], [1, 1, 1, 1, 1, 1], 4, users=1)
    np.testing.assert_array_equal(item_popularity_scores(episode), [[0, 1, 0]])
