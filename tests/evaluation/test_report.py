"""The report: a model beside its baselines on the same rows, and whether it adapts."""

import json

import numpy as np
import pytest
import tensorflow as tf
from episodes.small_data import held_out

from cmml_tf.baselines.item_pop import ItemPop
from cmml_tf.config import EpisodeConfig, ModelConfig
from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.evaluation.statistics import paired_difference
from cmml_tf.models.build import build_model
from cmml_tf.settings.base import Prepared
from cmml_tf.settings.run import report_on
from cmml_tf.settings.scenario.setting import ScenarioSetting

NO_CONTEXT = ModelConfig(encoder="none", hybrid="none", modulation="none", backbone_units=(8,))
POOLING = ModelConfig(encoder="mean", encoder_units=8, hyper_units=8, backbone_units=(8,))


def _model(config):
    tf.keras.utils.set_random_seed(0)
    model = build_model(config, 40, 60, 4, 4)
    rng = np.random.default_rng(1)
    model.pair_embedding.set_tables(rng.normal(size=(40, 4)), rng.normal(size=(60, 4)))
    return model


def _episodes(scenarios):
    rng = np.random.default_rng(2)
    made = []
    for number in range(scenarios):
        items = np.arange(20) + 20 * number
        support = [(user, item) for user in range(10) for item in rng.choice(items, 3)]
        asked = [(user, item) for user in range(20, 40) for item in rng.choice(items, 2)]
        made.append(held_out(f"scenario {number}", support, asked, items))
    return EvaluationEpisodes.draw(made, EpisodeConfig(8, 8), seed=0)


def _report(model, no_context, episodes):
    return report_on(ScenarioSetting(), model, no_context, Prepared(None, None, episodes))


@pytest.fixture(scope="module")
def report():
    return _report(_model(POOLING), _model(NO_CONTEXT), _episodes(3))


def test_metrics_are_those_of_each_system_alone(report):
    episodes, metrics = _episodes(3), report.metrics()
    scorer = candidate_scores(ModelScorer(_model(POOLING), tasks=1))
    own = evaluate_ranking(scorer, episodes)
    swapped = evaluate_ranking(scorer, episodes.swapped())
    no_context = evaluate_ranking(
        candidate_scores(ModelScorer(_model(NO_CONTEXT), tasks=1)), episodes
    )
    item_pop = evaluate_ranking(candidate_scores(ItemPop()), episodes)
    assert metrics["meta_test"] == own.means()
    assert metrics["baselines"] == {
        "item_pop": item_pop.means(),
        "no_context": no_context.means(),
    }
    gain = metrics["context_gain"]
    assert gain["swapped"] == swapped.means()
    difference = own.means()["recall@10"] - swapped.means()["recall@10"]
    assert gain["recall@10"] == pytest.approx(difference)
    assert difference != 0
    paired = paired_difference(own.rows["recall@10"], swapped.rows["recall@10"], own.task)
    assert gain["interval"] == paired.half_width > 0


def test_metrics_are_json_without_nan(report):
    json.dumps(report.metrics(), allow_nan=False)


def test_a_model_without_context_gains_nothing_from_it():
    model = _model(NO_CONTEXT)
    gain = _report(model, model, _episodes(3)).metrics()["context_gain"]
    assert (gain["recall@10"], gain["interval"]) == (0.0, 0.0)


def test_table_shows_all_systems_and_differences(report):
    table = report.table("my-model")
    lines = table.splitlines()
    assert lines[0].split() == ["recall@5", "recall@10", "recall@20", "recall@50", "ndcg@10", "mrr"]
    for label, evaluation in (
        ("my-model ", report.model),
        *((one.label, one.metrics) for one in report.baselines),
        ("my-model, swapped support", report.swapped),
    ):
        (line,) = [line for line in lines[1:6] if line.startswith(label)]
        assert f"{evaluation.means()['recall@10']:.4f}" in line
    assert lines[2].startswith("± (95%, over scenarios)")
    assert f"{report.metrics()['meta_test_interval']['recall@10']:.4f}" in lines[2]
    gain = report.metrics()["context_gain"]
    assert f"(context gain), recall@10: {gain['recall@10']:+.4f} ± {gain['interval']:.4f}" in table
    assert lines[-1] == "3 held-out scenarios, 60 (scenario, user) rankings"


def test_a_single_scenario_has_no_swap_and_no_interval():
    report = _report(_model(POOLING), _model(NO_CONTEXT), _episodes(1))
    assert report.swapped is None
    gain = report.metrics()["context_gain"]
    assert gain == {"recall@10": None, "interval": None, "swapped": None}
    assert report.metrics()["meta_test_interval"]["recall@10"] is None
    assert "swapped" not in report.table("my-model")


def test_two_scenarios_are_swapped_with_each_other():
    report = _report(_model(POOLING), _model(NO_CONTEXT), _episodes(2))
    assert report.metrics()["context_gain"]["interval"] is not None
