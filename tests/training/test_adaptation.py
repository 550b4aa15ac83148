"""Adaptation works where there is something to adapt to: scenarios with a hidden sign.

Only the support set tells the sign. A model that reads it beats its twin, which never had one, and
fails with the support set of a scenario of the other sign.
"""

import dataclasses

import numpy as np
import pytest
from training.small_run import EPISODE, POOLING, build, planted

from cmml_tf.config import TrainingConfig
from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.evaluation.ranking import evaluate_ranking
from cmml_tf.settings.judging import report_on
from cmml_tf.settings.scenario.parts import ScenarioParts
from cmml_tf.settings.scenario.setting import ScenarioSetting
from cmml_tf.settings.systems import Recipe
from cmml_tf.settings.training import fit


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    made = planted(validation=0, meta_test=12)
    data, setting = made.data, ScenarioSetting()
    training = TrainingConfig(learning_rate=3e-3, steps_per_epoch=100, max_epochs=3)
    episodes = EvaluationEpisodes.draw(data.meta_test, EPISODE, seed=2)
    parts = ScenarioParts(data, None, episodes, tmp_path_factory.mktemp("parts"))
    models, losses = [], []
    for with_support in (True, False):
        model, folder = build(POOLING, data), tmp_path_factory.mktemp("run")
        recipe = Recipe(POOLING, EPISODE, training, seed=0)
        result = fit(setting, model, parts, recipe, folder, verbose=0, with_support=with_support)
        models.append(model)
        losses.append([epoch["loss"] for epoch in result.history])
    oracle = evaluate_ranking(
        lambda episode: made.oracle_scores(episode.name, episode.users), episodes
    )
    report = report_on(setting, *models, parts)
    wrong = setting.evaluate(setting.scorer(models[0]), _of_the_other_sign(episodes, made))
    return report, oracle.means()["recall@10"], losses, wrong


def _of_the_other_sign(episodes, made):
    """Each scenario with the support set of one whose hidden direction is the opposite."""
    direction = [made.directions[name] for name in episodes.names]
    source = [next(o for o, d in enumerate(direction) if d @ own < 0) for own in direction]
    names = ("support_user", "support_item", "support_label", "support_length")
    return dataclasses.replace(episodes, **{n: getattr(episodes, n)[source] for n in names})


def _recall(report, name):
    return report.systems[name].means()["recall@10"]


def test_training_lowers_the_loss_of_who_is_given_support_sets(trained):
    _, _, (own, twin), _ = trained
    assert own[0] > own[1] > own[2]
    assert own[-1] < 0.6 * twin[-1]


def test_support_sets_are_worth_a_wide_margin(trained):
    report, oracle, _, _ = trained
    assert _recall(report, "own") > _recall(report, "twin") + 0.15
    assert _recall(report, "own") > _recall(report, "item_pop")
    assert _recall(report, "own") > oracle - 0.08
    gain = report.metrics()["context_gain"]
    assert gain["recall@10"] - gain["interval"] > 0.1
    assert report.metrics()["verdict"]["sentence"].startswith(
        "recall@10 is better by its support sets, "
    )


def test_a_support_set_that_tells_the_opposite_makes_it_collapse(trained):
    report, _, _, wrong = trained
    # Sixty candidates: a random ranking finds one in six.
    assert wrong.means()["recall@10"] < 0.15
    assert np.all(wrong.table()["recall@10"] < 0.3)
    # About half of the other scenarios have the same sign.
    assert _recall(report, "swapped") < _recall(report, "own") - 0.2
    assert _recall(report, "flipped") < _recall(report, "own")


def test_a_twin_is_far_from_what_can_be_reached_and_as_good_with_any_support(trained):
    report, oracle, _, _ = trained
    assert _recall(report, "twin") < oracle - 0.15
    assert report.systems["chance"].means()["recall@10"] == pytest.approx(1 / 6)
