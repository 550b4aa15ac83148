"""Adaptation works where there is something to adapt to: scenarios with a hidden sign.

Only the support set tells the sign. A model that reads it beats any model that does not, and fails
with the support set of a scenario of the other sign.
"""

import dataclasses
import itertools

import numpy as np
import pytest
from training.small_run import EPISODE, NO_CONTEXT, POOLING, build, fit, planted

from cmml_tf.config import TrainingConfig
from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.evaluation.ranking import evaluate_ranking
from cmml_tf.settings.base import Prepared
from cmml_tf.settings.run import report_on
from cmml_tf.settings.scenario.setting import ScenarioSetting


def _alternating(scenarios, directions):
    """As many of each sign, in turn: the next scenario's support set says the opposite."""
    first = directions[scenarios[0].name]
    same = [one for one in scenarios if directions[one.name] @ first > 0]
    other = [one for one in scenarios if directions[one.name] @ first < 0]
    pairs = zip(same, other, strict=False)
    return tuple(itertools.chain.from_iterable(pairs))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    made = planted(validation=0, meta_test=12)
    data = dataclasses.replace(
        made.data, meta_test=_alternating(made.data.meta_test, made.directions)
    )
    training = TrainingConfig(learning_rate=3e-3, steps_per_epoch=100, max_epochs=3)
    models, losses = [], []
    for config in (POOLING, NO_CONTEXT):
        model = build(config, data)
        folder = tmp_path_factory.mktemp("run")
        result = fit(model, data, None, training, folder)
        models.append(model)
        losses.append([epoch["loss"] for epoch in result.history])
    episodes = EvaluationEpisodes.draw(data.meta_test, EPISODE, seed=2)
    assert len(episodes) >= 6
    oracle = evaluate_ranking(
        lambda episode: made.oracle_scores(episode.name, episode.users), episodes
    )
    report = report_on(ScenarioSetting(), *models, Prepared(data, None, episodes))
    return report, oracle.means()["recall@10"], losses


def _recall(evaluation):
    return evaluation.means()["recall@10"]


def _baseline(report, name):
    return {one.name: one.metrics for one in report.baselines}[name]


def test_training_lowers_the_loss(trained):
    _, _, (pooling, no_context) = trained
    assert pooling[0] > pooling[1] > pooling[2]
    assert pooling[-1] < 0.6 * no_context[-1]


def test_context_beats_no_context_by_a_wide_margin(trained):
    report, oracle, _ = trained
    assert _recall(report.model) > _recall(_baseline(report, "no_context")) + 0.15
    assert _recall(report.model) > _recall(_baseline(report, "item_pop"))
    assert _recall(report.model) > oracle - 0.08


def test_another_scenarios_support_set_makes_it_collapse(trained):
    report, _, _ = trained
    # Sixty candidates: a random ranking finds one in six.
    assert _recall(report.swapped) < 0.15
    gain = report.metrics()["context_gain"]
    assert gain["recall@10"] - gain["interval"] > 0.4
    assert np.all(report.swapped.table()["recall@10"] < 0.3)


def test_context_changes_nothing_without_a_context(trained):
    report, _, _ = trained
    # What the no-context model reaches is far from what can be reached.
    assert _recall(_baseline(report, "no_context")) < trained[1] - 0.15
