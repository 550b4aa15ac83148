"""Batched evaluation against one user and one item at a time."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from episodes.small_data import held_out
from random_weights import random_weights

from cmml_tf.baselines.simple.item_pop import ItemPop
from cmml_tf.config import EpisodeConfig, ModelConfig
from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.episodes.asked.evaluation_episodes import Known
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.evaluation.task_metrics import TaskMetrics, mean_of_draws
from cmml_tf.models.build import build_model
from cmml_tf.types import Episode

USERS, ITEMS = 700, 90
NO_CONTEXT = {"encoder": "none", "hybrid": "none", "modulation": "none"}


def _scenario(name, first_item, items, askers, rng):
    support = [(rng.integers(USERS), first_item + rng.integers(items)) for _ in range(20)]
    asked = [
        (user, first_item + item)
        for user in rng.choice(USERS, askers, replace=False)
        for item in rng.choice(items, rng.integers(1, 4), replace=False)
    ]
    return held_out(name, support, asked, range(first_item, first_item + items))


@pytest.fixture(scope="module")
def episodes():
    """Three scenarios; the second has more pairs to score than fit in one call."""
    rng = np.random.default_rng(0)
    scenarios = (
        _scenario("few", 0, 12, 5, rng),
        _scenario("many", 12, 60, 400, rng),
        _scenario("other", 72, 18, 30, rng),
    )
    return EvaluationEpisodes.draw(scenarios, EpisodeConfig(6, 9), seed=0)


def _model(**changes):
    tf.keras.utils.set_random_seed(0)
    small = {"encoder": "mean", "encoder_units": 8, "hyper_units": 8}
    config = ModelConfig(**{**small, "backbone_units": (8, 8), **changes})
    model = build_model(config, USERS, ITEMS, 4, 4)
    rng = np.random.default_rng(1)
    random_weights(model, rng)
    model.pair_embedding.set_tables(rng.normal(size=(USERS, 4)), rng.normal(size=(ITEMS, 4)))
    return model


@pytest.fixture(scope="module")
def model():
    return _model()


def _one_by_one(scores, relevant, k):
    """Recall@k and reciprocal rank of each user by sorting; the scores have no ties."""
    recall, reciprocal = [], []
    for user in range(len(scores)):
        ranked = sorted(range(scores.shape[1]), key=lambda item: -scores[user, item])
        hits = [bool(relevant[user, item]) for item in ranked]
        recall.append(sum(hits[:k]) / sum(hits))
        reciprocal.append(1 / (hits.index(True) + 1))
    return recall, reciprocal


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder": "gru", "modulation": "soft"},
        {**NO_CONTEXT, "encoder_units": 256, "hyper_units": 64},
    ],
    ids=["pooling", "gru and soft modules", "no context"],
)
def test_scores_are_those_of_the_model_called_on_each_user(episodes, changes):
    model = _model(**changes)
    scorer = candidate_scores(ModelScorer(model, tasks=1))
    assert episodes.episode(1).relevant.size > 2 * 8192
    for episode in episodes:
        scores = scorer(episode)
        assert scores.shape == episode.relevant.shape
        assert scores.dtype == np.float32
        for row in {0, 1, len(episode.users) // 2, len(episode.users) - 1}:
            item = episode.candidates[None]
            user = np.full_like(item, episode.users[row])
            expected = model(Episode(episode.support, user, item, np.zeros(item.shape)))
            np.testing.assert_allclose(scores[row], expected[0], atol=1e-5)


def test_scorer_reads_the_current_weights(episodes):
    model = _model()
    scorer = candidate_scores(ModelScorer(model, tasks=1))
    before = scorer(episodes.episode(0))
    model.recommender.output_layer.bias.assign_add([1.5])
    np.testing.assert_allclose(scorer(episodes.episode(0)), before + 1.5, atol=1e-5)


def test_metrics_are_those_of_each_user_ranked_alone(episodes, model):
    scorer = candidate_scores(ModelScorer(model, tasks=1))
    evaluation = evaluate_ranking(scorer, episodes)
    recall, reciprocal, scenario = [], [], []
    for place, episode in enumerate(episodes):
        of_users = _one_by_one(scorer(episode), episode.relevant, 5)
        recall += of_users[0]
        reciprocal += of_users[1]
        scenario += [place] * len(episode.users)
    np.testing.assert_allclose(evaluation.rows["recall@5"], recall)
    np.testing.assert_allclose(evaluation.rows["mrr"], reciprocal)
    np.testing.assert_array_equal(evaluation.task, scenario)
    assert evaluation.names == ("few", "many", "other")
    assert evaluation.means()["recall@5"] == pytest.approx(np.mean(recall))
    cutoffs = {f"recall@{k}" for k in (1, 3, 5, 10, 20, 50, 100)}
    assert cutoffs <= evaluation.means().keys()


def test_known_and_unknown_users_and_items_are_parts_of_the_same_ranking():
    scenario = held_out("s", [(9, 0)], [(0, 0), (0, 3), (1, 1), (2, 2), (2, 3)], range(4))
    known = Known(np.array([True, False, True] + [True] * 7), np.array([True, True, False, False]))
    asked = EvaluationEpisodes.draw([scenario], EpisodeConfig(1, 1), seed=0, known=known)
    # Item 3 comes first for everybody, then 2, 1, 0.
    found = evaluate_ranking(lambda episode: np.tile(np.arange(4.0), (3, 1)), asked)
    parts = {name: rows["recall@1"].tolist() for name, rows in found.parts.items()}
    nan = pytest.approx(np.nan, nan_ok=True)
    assert found.rows["recall@1"].tolist() == [0.5, 0.0, 0.5]
    assert parts["known_users"] == [0.5, nan, 0.5]
    assert parts["unknown_users"] == [nan, 0.0, nan]
    # Of a user's unknown items all are to be found in the same order; whose are known has none.
    assert parts["known_items"] == [0.0, 0.0, nan]
    assert parts["unknown_items"] == [1.0, nan, 0.5]
    means = found.part_means()
    assert means["unknown_items"]["recall@1"] == 0.75
    everything = EvaluationEpisodes.draw([scenario], EpisodeConfig(1, 1), seed=0)
    found = evaluate_ranking(lambda episode: np.tile(np.arange(4.0), (3, 1)), everything)
    assert found.part_means().keys() == {"known_users", "known_items"}
    assert found.part_means()["known_items"] == found.means()


def test_a_system_that_scores_a_whole_task_at_once_is_asked_so(episodes):
    calls = []

    class Grid(ItemPop):
        def score_grid(self, adapted, users, items):
            calls.append((len(users), len(items)))
            return super().score_grid(adapted, users, items)

        def score(self, adapted, user, item):
            raise AssertionError

    evaluate_ranking(candidate_scores(Grid()), episodes)
    assert calls == [episode.relevant.shape for episode in episodes]


def test_the_mean_of_draws_is_of_each_row_and_part():
    def one(level):
        rows = {"mrr": np.array([level, np.nan])}
        return TaskMetrics(("a",), np.zeros(2, int), rows, {"known_items": rows})

    mean = mean_of_draws([one(0.5), one(1.0)])
    assert mean.means() == {"mrr": 0.75}
    assert mean.part_means() == {"known_items": {"mrr": 0.75}}


def test_ties_do_not_favour_what_is_relevant(episodes):
    evaluation = evaluate_ranking(lambda episode: np.zeros(episode.relevant.shape), episodes)
    candidates = [12] * 5 + [60] * 400 + [18] * 30
    expected = np.minimum(10 / np.array(candidates), 1)
    np.testing.assert_allclose(evaluation.rows["recall@10"], expected)


def test_nan_scores_are_refused(episodes):
    with pytest.raises(ValueError, match="NaN"):
        evaluate_ranking(lambda episode: np.full(episode.relevant.shape, np.nan), episodes)


def test_means_table_and_gain_by_hand():
    rows = {"recall@10": np.array([1.0, 0.0, 0.5, np.nan])}
    ours = TaskMetrics(("war", "noir"), np.array([0, 0, 1, 1]), rows)
    other = {"recall@10": np.array([0.5, 0.0, 0.25, 1.0])}
    theirs = TaskMetrics(("war", "noir"), np.array([0, 0, 1, 1]), other)
    assert ours.means() == {"recall@10": 0.5}
    pd.testing.assert_frame_equal(
        ours.table(),
        pd.DataFrame({"name": ["war", "noir"], "users": [2, 2], "recall@10": [0.5, 0.5]}),
    )
    gain = ours.gain_over(theirs, "recall@10")
    assert gain.mean == pytest.approx(0.25)
    assert (gain.rows, gain.groups) == (3, 2)
