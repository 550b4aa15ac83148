"""An export on a log: the controls that need no training, known ids, calibration, a server."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from operation.conftest import LOG

from cmml_tf.commands.operation.log_options import nested_options
from cmml_tf.evaluation.calibration import Calibration
from cmml_tf.operation.asked_log import GivenLog, open_asked_log
from cmml_tf.operation.evaluation_run import evaluate_on_log
from cmml_tf.operation.export_scorer import ExportScorer, log_ids
from cmml_tf.operation.loaded_export import LoadedExport
from cmml_tf.types import Support


def test_equal_scores_are_calibrated_together_and_all_pairs_are_counted():
    rng = np.random.default_rng(0)
    score = np.repeat([3.0, 1.0, 2.0], [5, 90, 5])
    label = rng.random(100)
    found = Calibration.of(score, label)
    assert found.score.tolist() == [1.0, 2.5]
    assert found.pairs.tolist() == [90, 10]
    assert found.label @ found.pairs == pytest.approx(label.sum())
    assert found.error is None
    ratings = Calibration.of(label, label + 0.25, predicts_labels=True)
    assert len(ratings.pairs) == 10
    assert ratings.error == pytest.approx(0.25)


def test_options_are_named_as_those_of_a_training():
    given = ["scenario.min-items=5", "read.columns=user=uid,item=sku", "liked=4.0"]
    assert nested_options(given) == {
        "scenario": {"min_items": 5},
        "read": {"columns": "user=uid,item=sku"},
        "liked": 4.0,
    }
    for wrong in ("scenario", "=3", ".a=3"):
        with pytest.raises(ValueError, match="must be NAME=VALUE"):
            nested_options([wrong])


@pytest.fixture(scope="module")
def new_log(tmp_path_factory):
    """Half of its items and a third of its users are in no export; ids are numbers as text."""
    rng = np.random.default_rng(1)
    scenario = np.repeat(np.arange(4), 150)
    frame = pd.DataFrame(
        {
            "scenario": [f"new {n}" for n in scenario],
            "user": rng.integers(100, 250, 600),
            "item": rng.integers(0, 30, 600) + np.where(scenario < 2, 0, 100_000),
        }
    )
    path = tmp_path_factory.mktemp("log") / "new.csv"
    frame.to_csv(path, index=False)
    return path


OPTIONS = {"scenario": {"definition": "column:scenario", "min_items": 2, "min_interactions": 5}}


def test_a_new_log_is_asked_whole_and_its_unknown_ids_are_counted(exports, new_log):
    said = []
    metrics = evaluate_on_log(
        exports.poor, GivenLog(str(new_log), OPTIONS), None, "cmml", said.append
    )
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert metrics["protocol"] == "strict"
    assert metrics["counts"]["scenarios that are asked"] == 4
    assert metrics["known"]["items"] == pytest.approx(0.5, abs=0.05)
    assert metrics["known"]["users"] == pytest.approx(2 / 3, abs=0.1)
    assert metrics["controls"].keys() == {"none", "swapped", "flipped", "item_pop", "chance"}
    assert [*metrics["curve"]][:3] == ["0", "1", "2"]
    assert {"known_items", "unknown_items", "unknown_users"} <= metrics["parts"]["own"].keys()
    assert sum(one["pairs"] for one in metrics["calibration"]["bins"]) > 4 * 30
    (table,) = said
    assert "4 held-out scenarios" in table
    assert "calibration, 10 parts by score" in table


def test_an_export_scores_as_its_model_however_requests_are_divided(exports, tmp_path):
    export = LoadedExport(exports.poor)
    log = open_asked_log([export], GivenLog(LOG), tmp_path)
    ids = log_ids(export, log.prepared.data.user_ids, log.prepared.data.item_ids, None)
    rng = np.random.default_rng(0)
    support = Support(
        rng.integers(0, 100, (5, 7)).astype(np.int32),
        rng.integers(0, 100, (5, 7)).astype(np.int32),
        rng.integers(0, 2, (5, 7)).astype(np.float32),
        np.array([7, 0, 3, 7, 1], np.int32),
    )
    query = [rng.integers(0, 100, (5, 11)).astype(np.int32) for _ in range(2)]
    whole = ExportScorer(export, ids, export.limits)
    expected = whole.score(whole.adapt(support), *query)
    signature = export._loaded.signatures["serving_default"]  # what a server is asked
    direct = signature(
        support_user_id=tf.constant(ids.users[support.user]),
        support_item_id=tf.constant(ids.items[support.item]),
        support_label=tf.constant(support.label),
        support_length=tf.constant(support.length),
        query_user_id=tf.constant(ids.users[query[0]]),
        query_item_id=tf.constant(ids.items[query[1]]),
    )["score"]
    np.testing.assert_allclose(expected, direct, rtol=1e-4, atol=1e-5)
    for limits in ({"tasks": 2}, {"query_pairs": 4}, {"tasks": 1, "query_pairs": 3}):
        small = ExportScorer(export, ids, type(export.limits)(**{"support_pairs": 7, **limits}))
        found = small.score(small.adapt(support), *query)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
