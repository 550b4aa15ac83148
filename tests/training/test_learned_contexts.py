"""Learned encoders beyond the paper read their support set: sequential ones too."""

from dataclasses import replace

import pytest
from training.small_run import EPISODE, build, fit, planted

from cmml_tf.config import TrainingConfig
from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.experiments.forms import model_preset

TRAINING = TrainingConfig(learning_rate=3e-3, steps_per_epoch=150, max_epochs=1)


@pytest.fixture(scope="module")
def made():
    return planted(validation=0, meta_test=12)


@pytest.mark.parametrize(
    "preset", ["cmml-film-plus", pytest.param("cmml-attention-query", marks=pytest.mark.slow)]
)
def test_a_small_model_ranks_nearly_as_well_as_can_be(made, preset, tmp_path):
    config = replace(model_preset(preset), encoder_units=16, hyper_units=16)
    model = build(config, made.data)
    fit(model, made.data, None, TRAINING, tmp_path)
    episodes = EvaluationEpisodes.draw(made.data.meta_test, EPISODE, seed=2)
    scorer = candidate_scores(ModelScorer(model, tasks=1))

    def recall(scorer, episodes):
        return evaluate_ranking(scorer, episodes).means()["recall@10"]

    own, swapped = recall(scorer, episodes), recall(scorer, episodes.swapped(0))
    oracle = recall(lambda one: made.oracle_scores(one.name, one.users), episodes)
    assert own > oracle - 0.05
    # Half of the swapped sets are of a scenario of the same sign.
    assert swapped < own - 0.25
