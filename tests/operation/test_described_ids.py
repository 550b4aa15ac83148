"""Ids that an export does not know are served by what the log's tables say of them."""

import json

import numpy as np
import pandas as pd
import pytest
from operation.conftest import write_shop

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.check_source import FeatureSource
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.operation.asked_log import GivenLog, open_asked_log
from cmml_tf.operation.evaluation_run import evaluate_on_log
from cmml_tf.operation.loaded_export import Export, LoadedExport
from cmml_tf.operation.log_content import log_content
from cmml_tf.types import Support

NEW = np.arange(30, 70)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A log of items of which 30 to 39 are known."""
    return write_shop(tmp_path_factory.mktemp("shop"), ["new 1", "new 2", "new 3"], NEW, seed=1)


def log_of(shop, described=True):
    tables = FeatureSource(str(shop / "items.csv")) if described else FeatureSource()
    return GivenLog(str(shop / "log.csv"), tables=tables)


@pytest.mark.slow
def test_known_items_score_by_id_and_others_by_their_features(describing, shop, tmp_path):
    export = LoadedExport(describing)
    logs = [open_asked_log([export], log_of(shop, one), tmp_path) for one in (True, False)]
    by_features, by_id = (log.told(export, export) for log in logs)
    assert by_features.described == {"items": 30, "users": 0}
    assert by_id.described == {}
    items = logs[0].prepared.data.item_ids
    known = np.isin(items, np.arange(40))
    rows, users = np.flatnonzero(known)[:4], np.arange(4)
    support = Support(*(one[None].astype(np.int32) for one in (users, rows)), np.ones([1, 4]), [4])
    support = support._replace(length=np.array([4], np.int32))
    query = np.zeros([1, len(items)], np.int32), np.arange(len(items), dtype=np.int32)[None]
    found, plain = (
        told.scorer.score(told.scorer.adapt(support), *query)[0] for told in (by_features, by_id)
    )
    np.testing.assert_allclose(found[known], plain[known], rtol=1e-4, atol=1e-5)
    new = {kind: found[~known & (items % 4 == kind)] for kind in range(4)}
    for of_kind in new.values():
        np.testing.assert_allclose(of_kind, of_kind[0], rtol=1e-4, atol=1e-5)
    assert len({round(float(of_kind[0]), 4) for of_kind in new.values()}) > 1


@pytest.mark.slow
def test_the_report_says_how_many_ids_were_served_by_features(describing, shop):
    found, said = {}, []
    for described in (True, False):
        log = log_of(shop, described)
        found[described] = evaluate_on_log(describing, log, None, "cmml", said.append)
    assert found[True]["served_by_features"] == {"items": 30, "users": 0}
    assert found[False]["served_by_features"] == {}
    assert "served by features, not known by id: 30 items and 0 users of the log" in said[0]
    assert "by features" not in said[1]
    # Each of them is of a kind that its user likes, or not: without a support set nothing tells.
    recall = {one: metrics["controls"]["none"]["recall@10"] for one, metrics in found.items()}
    assert recall[True] > recall[False] + 0.1


MANIFEST = {
    "model": {
        "users": {"known": 2, "id_dtype": "string", "hashed": False},
        "items": {"known": 2, "id_dtype": "int64"},
    },
    "limits": {"support_pairs": 8, "query_pairs": 8, "tasks": 8},
    "features": {
        "user": [{"name": "country", "kind": "categorical"}],
        "item": [
            {"name": "price", "kind": "numeric"},
            {"name": "tags", "kind": "multi-hot"},
            {"name": "title", "kind": "text"},
            {"name": "look", "kind": "vector", "width": 2},
            {"name": "brand", "kind": "categorical"},
        ],
    },
    "signatures": {"score_features": {"inputs": {"support_user_id": {}}}},
}


@pytest.fixture
def export(tmp_path):
    """What an export says of itself, without a model."""
    extra = tmp_path / "export" / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "cmml_manifest.json").write_text(json.dumps(MANIFEST))
    return Export(extra.parent)


def test_rows_of_a_log_are_described_by_its_tables_in_the_kinds_of_the_export(export, tmp_path):
    data = ScenarioData("log", np.array(["a", "b"], object), np.array([7, 8, 9]), (), (), ())
    table = {"item": [9, 7, 5], "price": [1.5, None, 2], "tags": [["x", "y"], [], ["z"]]}
    table |= {"title": ["a title", "", "c"], "look": [[1.0, 2.0], None, [3.0, 4.0]]}
    pd.DataFrame(table).assign(colour="red").to_parquet(tmp_path / "items.parquet")
    tables = FeatureSource(str(tmp_path / "items.parquet"))
    found = log_content(export, data, tables, ReadConfig())
    assert found.described["item"].tolist() == [False, False, True]
    assert found.described["user"].tolist() == [False, False]
    inputs = found.inputs("query", np.array([[0, 1, 1]]), np.array([[0, 1, 2]]))
    assert inputs["query_item_price"].tolist()[0] == pytest.approx(
        [np.nan, np.nan, 1.5], nan_ok=True
    )
    assert inputs["query_item_price"].dtype == inputs["query_item_look"].dtype == np.float32
    assert inputs["query_item_tags"].tolist() == [["", "", "x|y"]]
    assert inputs["query_item_title"].tolist() == [["", "", "a title"]]
    assert inputs["query_item_look"].shape == (1, 3, 2)
    assert inputs["query_item_look"][0, 2].tolist() == [1, 2]
    assert (
        inputs["query_item_brand"].tolist() == inputs["query_user_country"].tolist() == [[""] * 3]
    )
    assert "query_item_colour" not in inputs
    wide = pd.DataFrame({"item": [7], "look": [[1.0, 2.0, 3.0]]})
    wide.to_parquet(tmp_path / "wide.parquet")
    with pytest.raises(ValueError, match=r"'look' of .* vectors of 2 numbers.* Received: 3"):
        log_content(export, data, FeatureSource(str(tmp_path / "wide.parquet")), ReadConfig())


def test_tables_that_no_export_reads_are_refused(export, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("item,kind\n1,a\n")
    export.manifest["setting"] = "scenario"
    log = GivenLog("log.csv", tables=FeatureSource(str(tmp_path / "nothing.csv")))
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv is missing"):
        open_asked_log([export], log, tmp_path)
    del export.manifest["features"]
    for side in ("items", "users"):
        log = log._replace(tables=FeatureSource(**{side: str(table)}))
        with pytest.raises(
            ValueError, match=rf"`{side}` must be left out: .* no features of {side}"
        ):
            open_asked_log([export], log, tmp_path)
