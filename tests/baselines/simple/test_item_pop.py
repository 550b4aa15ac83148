"""ItemPop counts positives of the support set, for everyone alike."""

from pathlib import Path

import numpy as np
import pytest

from cmml_tf.baselines.simple.item_pop import ItemPop
from cmml_tf.config import EpisodeConfig, SplitConfig
from cmml_tf.datasets.sources.scenario_meta import load_scenario_meta
from cmml_tf.episodes import EvaluationEpisode, EvaluationEpisodes
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.types import Support

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def _episode(items, labels, length, candidates=(3, 5, 8), users=2):
    items = np.array([items], np.int32)
    support = Support(items * 0, items, np.array([labels], np.float32), np.array([length]))
    relevant = np.zeros((users, len(candidates)), bool)
    known = np.ones(users, bool), np.ones(len(candidates), bool)
    return EvaluationEpisode("s", support, np.arange(users), np.array(candidates), relevant, *known)


def _scores(episode):
    return candidate_scores(ItemPop())(episode)


def test_counts_positives_only():
    episode = _episode([5, 3, 5, 8, 8, 8], [1, 1, 1, 1, 0, 0], 6)
    scores = _scores(episode)
    np.testing.assert_array_equal(scores, [[1, 2, 1], [1, 2, 1]])


def test_padding_and_items_of_other_scenarios_do_not_count():
    # The last two lie behind the length; 4 and 9 are no candidates (a swapped support set).
    episode = _episode([5, 4, 9, 0, 3, 3], [1, 1, 1, 1, 1, 1], 4, users=1)
    np.testing.assert_array_equal(_scores(episode), [[0, 1, 0]])


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not beside the checkout")
@pytest.mark.parametrize(
    ("name", "recall"), [("scenario-ml1m-genre", 0.645), ("scenario-planted-control", 0.652)]
)
def test_recall_of_the_reference_with_its_support_pairs(name, recall):
    """The reference takes the first 64 pairs as they are listed; we draw 64 of all, by seed."""
    meta_test = load_scenario_meta(SHARED / name, SplitConfig(), seed=0).meta_test
    drawn = EvaluationEpisodes.draw(meta_test, EpisodeConfig(), seed=0)
    listed = [
        place._replace(support=_first_pairs(s)) for place, s in zip(drawn, meta_test, strict=True)
    ]
    ours = evaluate_ranking(_scores, listed).means()["recall@10"]
    assert abs(ours - recall) < 0.01
    # Another draw moves it: by .012 (genre) and .006 (planted) over 20 seeds.
    ours = evaluate_ranking(_scores, drawn).means()["recall@10"]
    assert abs(ours - recall) < 0.05


def _first_pairs(scenario, count=64):
    """The first positives of a held-out scenario, without negatives."""
    users = scenario.support_users[None, :count]
    items = scenario.support_items[None, :count]
    return Support(users, items, np.ones(items.shape, np.float32), np.array([items.shape[1]]))
