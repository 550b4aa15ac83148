"""Scores of users and candidates are those of the model's own forward pass."""

import numpy as np
import pytest

from cmml_tf.baselines.build import build_baseline
from cmml_tf.config.baselines import DcnConfig, FineTuningConfig, S2MetaConfig
from cmml_tf.episodes import EvaluationEpisode
from cmml_tf.evaluation.ranking import candidate_scores
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.types import Episode, Support

CONFIGS = [
    DcnConfig(1, (3,)),
    FineTuningConfig(DcnConfig(1, (3,)), 2),
    S2MetaConfig(units=(3,), max_steps=5, controller_units=2, batch_pairs=2),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_scores_are_the_models(config):
    rng = np.random.default_rng(0)
    model = build_baseline(config, 9, 8, 2, 2)
    model.pair_embedding.set_tables(rng.normal(size=(9, 2)), rng.normal(size=(8, 2)))
    support = Support(
        np.array([[1, 2, 1, 2]], np.int32),
        np.array([[3, 4, 5, 6]], np.int32),
        np.array([[1, 1, 0, 0]], np.float32),
        np.array([4], np.int32),
    )
    users, candidates = np.array([4, 7, 8], np.int32), np.array([3, 5], np.int32)
    known = np.ones(3, bool), np.ones(2, bool)
    episode = EvaluationEpisode("s", support, users, candidates, np.ones((3, 2), bool), *known)
    scores = candidate_scores(ModelScorer(model, tasks=1))(episode)
    query = np.repeat(users, 2)[None], np.tile(candidates, 3)[None]
    expected = model(Episode(support, *query, np.zeros((1, 6), np.float32)))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, np.reshape(expected, [3, 2]), rtol=1e-4, atol=1e-6)
