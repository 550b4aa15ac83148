"""The report: a model beside its controls on the same rows, by size of the support; a verdict."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from episodes.small_data import held_out, random_scenarios, scenario_data

from cmml_tf.baselines.simple.item_pop import Chance, ItemPop
from cmml_tf.config import EpisodeConfig, ModelConfig
from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.episodes.asked.evaluation_episodes import Known
from cmml_tf.episodes.asked.scenario_curve import ScenarioCurve
from cmml_tf.evaluation.altered_support import FlippedLabels, WithoutSupport
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.evaluation.statistics import paired_difference
from cmml_tf.evaluation.task_metrics import mean_of_draws
from cmml_tf.models.build import build_model
from cmml_tf.settings.judging import report_on
from cmml_tf.settings.scenario.parts import ScenarioParts
from cmml_tf.settings.scenario.setting import ScenarioSetting

USERS, ITEMS = 40, 80
NO_CONTEXT = ModelConfig(encoder="none", hybrid="none", modulation="none", backbone_units=(8,))
POOLING = ModelConfig(encoder="mean", encoder_units=8, hyper_units=8, backbone_units=(8,))
EPISODE = EpisodeConfig(8, 8)
TABLES = (
    np.random.default_rng(1).normal(size=(USERS, 4)).astype(np.float32),
    np.random.default_rng(2).normal(size=(ITEMS, 4)).astype(np.float32),
)
KNOWN = Known(np.arange(USERS) < 35, np.arange(ITEMS) % 3 > 0)


def _model(config, seed=0):
    tf.keras.utils.set_random_seed(seed)
    model = build_model(config, USERS, ITEMS, 4, 4)
    model.pair_embedding.set_tables(*TABLES)
    return model


def _held_out(scenarios):
    rng = np.random.default_rng(2)
    made = []
    for number in range(scenarios):
        items = np.arange(20) + 20 * number
        support = [(user, item) for user in range(10) for item in rng.choice(items, 3)]
        asked = [(user, item) for user in range(20, 40) for item in rng.choice(items, 2)]
        made.append(held_out(f"scenario {number}", support, asked, items))
    return made


def _episodes(scenarios):
    return EvaluationEpisodes.draw(_held_out(scenarios), EPISODE, seed=0, known=KNOWN)


def _parts(scenarios, folder):
    data = scenario_data(random_scenarios(3, users=USERS, items=20), users=USERS, items=ITEMS)
    data = replace(data, user_embeddings=TABLES[0], item_embeddings=TABLES[1])
    curve = ScenarioCurve.draw(_held_out(scenarios), EPISODE, seed=1, known=KNOWN)
    return ScenarioParts(data, None, _episodes(scenarios), folder, curve=curve)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return _parts(3, tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def models():
    return _model(POOLING), _model(POOLING, seed=1)


@pytest.fixture(scope="module")
def report(parts, models):
    return report_on(ScenarioSetting(), *models, parts)


def _means(scorer, tasks):
    return evaluate_ranking(candidate_scores(scorer), tasks).means()


def test_metrics_are_those_of_each_system_alone(report, parts, models):
    metrics, episodes = report.metrics(), _episodes(3)
    model, twin = (ModelScorer(one, tasks=1) for one in models)
    controls = metrics["controls"]
    assert metrics["meta_test"] == _means(model, episodes)
    assert list(controls) == [
        *("twin", "none", "flipped", "item_pop", "dot", "item_pop_dot", "item_knn"),
        *("als_fold_in", "chance", "swapped"),
    ]
    assert controls["twin"] == _means(WithoutSupport(twin), episodes)
    assert controls["none"] == _means(WithoutSupport(model), episodes)
    assert controls["flipped"] == _means(FlippedLabels(model, (0.0, 1.0)), episodes)
    assert controls["item_pop"] == _means(ItemPop(), episodes)
    assert controls["chance"] == _means(Chance(), episodes)
    swapped = mean_of_draws(
        [evaluate_ranking(candidate_scores(model), episodes.swapped(draw)) for draw in range(3)]
    )
    assert controls["swapped"] == swapped.means()
    assert metrics["control_settings"]["item_pop_dot"].keys() == {"weight"}
    assert metrics["control_settings"]["item_knn"].keys() == {"shrinkage", "popularity"}
    assert metrics["known"] == parts.meta_test.known()
    assert 0 < metrics["known"]["items"] < 1
    assert metrics["protocol"] == "strict"


def test_the_curve_has_every_system_at_every_size_and_its_parts(report, parts, models):
    curve, own = report.metrics()["curve"], ModelScorer(models[0], tasks=1)
    assert list(curve) == ["0", "1", "2", "4", "8", "16", "all"]
    names = {"own", *report.metrics()["controls"]}
    columns = set(ScenarioSetting().form.columns)
    kinds = {"known_users", "unknown_users", "known_items", "unknown_items"}
    for systems in curve.values():
        assert systems.keys() == names
        for means in systems.values():
            assert means.keys() == columns | kinds
            assert all(means[kind].keys() == columns for kind in kinds)
    drawn = mean_of_draws(
        [evaluate_ranking(candidate_scores(own), parts.curve.tasks(4, draw)) for draw in range(3)]
    )
    assert curve["4"]["own"]["recall@10"] == drawn.means()["recall@10"]
    unknown = drawn.part_means()["unknown_items"]["recall@10"]
    assert curve["4"]["own"]["unknown_items"]["recall@10"] == unknown
    for name in ("own", "swapped", "flipped"):
        assert curve["0"][name] == curve["0"]["none"]
    for name in ("none", "twin", "dot", "chance"):
        assert curve["all"][name] == curve["0"][name]


def test_the_context_gain_is_over_the_better_of_twin_and_none(report):
    means = {name: one.means()["recall@10"] for name, one in report.systems.items()}
    better = max(("twin", "none"), key=means.__getitem__)
    gain = report.metrics()["context_gain"]
    assert gain["over"] == better
    assert gain["recall@10"] == pytest.approx(means["own"] - means[better])
    rows = [report.systems[name].rows["recall@10"] for name in ("own", better)]
    assert gain["interval"] == paired_difference(*rows, report.own.task).half_width > 0
    difference = report.metrics()["verdict"]["differences"][better]
    assert difference == {"difference": gain["recall@10"], "interval": gain["interval"]}


def test_metrics_are_json_without_nan(report):
    json.dumps(report.metrics(), allow_nan=False)


def test_a_model_without_context_gains_nothing_from_it(parts):
    model = _model(NO_CONTEXT)
    report = report_on(ScenarioSetting(), model, model, parts)
    metrics = report.metrics()
    assert (metrics["context_gain"]["recall@10"], metrics["context_gain"]["interval"]) == (0, 0)
    for name in ("twin", "none", "swapped", "flipped"):
        assert metrics["controls"][name] == metrics["meta_test"]
    assert (
        "not shown to be better by its support sets" in metrics["verdict"]["sentence"]
        or (metrics["verdict"]["below"])
    )
    assert "twin" not in metrics["verdict"]["better_than"]


def test_the_table_has_the_systems_side_by_side_then_the_curve_then_the_verdict(report):
    lines = report.table("my-model").splitlines()
    assert lines[0] == (
        "3 held-out scenarios, 60 (scenario, user) rankings. Protocol: strict; known of what is "
        f"asked: 75% of its users and {report.metrics()['known']['items']:.0%} of its items."
    )
    assert lines[1].split() == ["recall@10", "ndcg@10"]
    begins = [line.split("  ")[0] for line in lines[2:14]]
    assert begins == [
        *("my-model", "", "twin: never given a support set", "none: empty support set"),
        *("ItemPop", "dot product", "dot + ItemPop", "item-kNN", "ALS fold-in", "random order"),
        *("swapped: another's support set", "flipped: own labels flipped"),
    ]
    assert f"{report.own.means()['ndcg@10']:.4f}" in lines[2]
    assert lines[3].startswith("  ± (95%, over scenarios)")
    assert f"{report.metrics()['meta_test_interval']['recall@10']:.4f}" in lines[3]
    assert lines[15] == "recall@10 by size of the support set, mean of 3 draws:"
    assert lines[16].split() == ["0", "1", "2", "4", "8", "16", "all"]
    curve = report.metrics()["curve"]
    shown = [f"{one['als_fold_in']['recall@10']:.4f}" for one in curve.values()]
    (line,) = [line for line in lines[17:] if line.startswith("ALS fold-in")]
    assert line.split()[2:] == shown
    unknown = [line for line in lines if line.startswith("my-model, unknown")]
    assert [line.split()[2] for line in unknown] == ["users", "items"]
    assert lines[-1] == f"Verdict: {report.metrics()['verdict']['sentence']}"


def test_a_single_scenario_has_no_swap_and_no_interval(models, tmp_path):
    report = report_on(ScenarioSetting(), *models, _parts(1, tmp_path))
    metrics = report.metrics()
    assert "swapped" not in metrics["controls"] | metrics["curve"]["4"]
    assert metrics["context_gain"]["interval"] is None
    assert metrics["meta_test_interval"]["recall@10"] is None
    assert metrics["verdict"]["better_than"] == []
    assert "swapped" not in report.table("my-model")
    json.dumps(metrics, allow_nan=False)
