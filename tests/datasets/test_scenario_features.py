"""Tables of features beside scenarios: kinds, ids that no interaction has, what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cmml_tf.config import ReadConfig, ScenarioConfig, SplitConfig
from cmml_tf.datasets.check_source import FeatureSource
from cmml_tf.datasets.feature_table import FeatureTable, content_column, with_features
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.open_features import described
from cmml_tf.datasets.preparation.prepared_folder import save_prepared
from cmml_tf.datasets.sources.feature_file import guessed_kind
from cmml_tf.datasets.sources.feature_kinds import declared_kinds

SCENARIOS = ScenarioConfig(min_items=5, min_interactions=50)


def made_log(seed=0):
    rng = np.random.default_rng(seed)
    log = pd.DataFrame({"scenario": np.repeat(["a", "b", "c", "d"], 150)})
    log["user"] = [f"u{n}" for n in rng.integers(0, 40, len(log))]
    log["item"] = [f"i{n}" for n in rng.integers(0, 30, len(log))]
    return log


def made_items(count=33):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "item": [f"i{n}" for n in range(count)],
            "category": [f"c{n % 4}" for n in range(count)],
            "price": [None if n == 3 else 1.5 * n for n in range(count)],
            "title": [f"red thing {n}" if n % 2 else f"Blue Shirt no. {n}" for n in range(count)],
            "colours": [["red", "blue"][: n % 3] for n in range(count)],
            "sentence": [None if n == 4 else rng.normal(size=5).tolist() for n in range(count)],
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    made_log().to_parquet(folder / "log.parquet")
    made_items().to_parquet(folder / "items.parquet")
    return folder


def opened(folder, items=None, users=None, kinds=None, log="log.parquet", **read):
    source = FeatureSource(*(None if one is None else str(folder / one) for one in (items, users)))
    return open_scenario_data(
        str(folder / log),
        SCENARIOS,
        SplitConfig(),
        0,
        read=ReadConfig(**read),
        features=replace(source, kinds=kinds),
    )


def refused(folder, table, match, kinds=None):
    table.to_parquet(folder / "bad.parquet")
    with pytest.raises(ValueError, match=match):
        opened(folder, "bad.parquet", kinds=kinds)


def kinds_of(data):
    return {column.name: column.kind for column in data.item_features}


def test_kinds_are_guessed_and_rows_are_those_of_the_ids(folder):
    data, without = opened(folder, "items.parquet"), opened(folder)
    assert kinds_of(data) == {
        "category": "categorical",
        "price": "numeric",
        "title": "text",
        "colours": "multi-hot",
        "sentence": "vector",
    }
    table = made_items().set_index("item")
    category, price, _, colours, sentence = data.item_features
    for row, one in enumerate(data.item_ids):
        assert category.values[row] == table.loc[one, "category"]
        assert colours.values[row] == tuple(table.loc[one, "colours"])
    missing = data.item_ids.tolist().index("i3"), data.item_ids.tolist().index("i4")
    assert np.isnan(price.values[missing[0]])
    assert np.isnan(sentence.values[missing[1]]).all()
    assert "price (numeric, 32 known)" in described(data.item_features)
    assert without.item_features == () == data.user_features
    assert data.fingerprint() != without.fingerprint()


def test_items_that_no_interaction_has_are_rows_behind_the_others(folder):
    data, without = opened(folder, "items.parquet"), opened(folder)
    known = len(without.item_ids)
    np.testing.assert_array_equal(data.item_ids[:known], without.item_ids)
    assert set(data.item_ids[known:]) == {"i30", "i31", "i32"}
    assert data.counts["items in no interaction, known by their features"] == 3
    for part in ("meta_train", "validation", "meta_test"):
        for one, other in zip(getattr(data, part), getattr(without, part), strict=True):
            np.testing.assert_array_equal(one.candidates, other.candidates)


def test_a_text_file_gives_what_a_parquet_file_gives(folder):
    table = made_items().drop(columns="sentence")
    table["colours"] = table["colours"].map("|".join)
    table.to_csv(folder / "items.csv", index=False)
    text, parquet = opened(folder, "items.csv"), opened(folder, "items.parquet")
    for one, other in zip(text.item_features, parquet.item_features, strict=False):
        assert one[:2] == other[:2]
        np.testing.assert_array_equal(one.values, other.values)


def test_kinds_can_be_said(folder):
    said = opened(folder, "items.parquet", kinds="price=categorical,title=none")
    assert kinds_of(said)["price"] == "categorical"
    assert "title" not in kinds_of(said)
    said.item_features[1].values.tolist().index("1.5")
    (folder / "kinds.yaml").write_text("items: {title: text, category: multi-hot}")
    alone = opened(folder, "items.parquet", kinds=str(folder / "kinds.yaml"))
    assert kinds_of(alone) == {"category": "multi-hot", "title": "text"}
    for kinds, match in (
        ("colour=text", r"must name features that there are: .*Received: 'colour'"),
        ("title=words", "one of categorical, multi-hot, numeric, text, vector, none"),
        ("title", "NAME=KIND"),
        ("title=text,title=none", "each NAME once"),
    ):
        with pytest.raises(ValueError, match=match):
            opened(folder, "items.parquet", kinds=kinds)
    with pytest.raises(ValueError, match="there are: none"):
        opened(folder, kinds="title=text")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "", "-3e2"], "numeric"),
        (["007", "012"], "categorical"),
        (["1", "nan"], "numeric"),
        (["inf", ""], "numeric"),
        (["1", "#DIV/0!"], "numeric"),
        (["1", "-1.#INF"], "numeric"),
        (["a|b", "c"], "multi-hot"),
        (["a", "b", "two words"], "categorical"),
        (["big red bus", "small red bus"], "text"),
        (["United Kingdom", "New Zealand"] * 30, "categorical"),
        ([["a"], None], "multi-hot"),
        ([[1.0, 2.0], [3.0, 4.0]], "vector"),
        ([[1.0, 2.0], [3.0]], "multi-hot"),
        ([[], []], "multi-hot"),
        (["", ""], "categorical"),
    ],
)
def test_a_kind_is_guessed_from_the_values(values, kind):
    assert guessed_kind(values) == kind


def test_declared_kinds_need_their_file():
    with pytest.raises(FileNotFoundError, match=r"missing\.yaml"):
        declared_kinds("missing.yaml")


def test_what_is_no_table_of_features_is_refused(folder):
    items = made_items()
    refused(folder, pd.concat([items, items[2:3]]), r"each item once.*'i2' in the rows 3 and 34")
    refused(folder, items.assign(item=[None, *items["item"][1:]]), "column 'item' is empty")
    refused(folder, items.rename(columns={"item": "sku"}), "must have a column 'item_id'")
    infinite = items.assign(price=[*items["price"][:5], np.inf, *items["price"][6:]])
    refused(folder, infinite, r"'price'.*'inf' in row 6 of its 33 rows, that of i5")
    short = items.assign(sentence=[[1.0, 2.0], *items["sentence"][1:]])
    refused(folder, short, r"vectors of 5.*in row 1", kinds="sentence=vector")
    odd = items.assign(sentence=[[1.0, np.nan, 1.0, 1.0, 1.0], *items["sentence"][1:]])
    refused(folder, odd, r"vectors of 5 finite numbers.*None.*in row 1")
    refused(folder, items.assign(price=["x", *["1"] * 32]), "finite numbers", "price=numeric")
    refused(folder, items.assign(item=[f"x{n}" for n in range(33)]), "none is. Received: item 'x0'")
    refused(folder, items[:0], "must have a row for each item that has features")
    refused(folder, items.rename(columns={"price": "prix (€)"}), "must be 1 to 64 letters")
    nested = items.assign(price=[[{"a": 1}]] * 33)
    refused(folder, nested, "text, numbers or lists of one of them")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv is missing"):
        opened(folder, "nowhere.csv")


def test_ids_of_log_and_table_become_of_one_kind(tmp_path):
    log = made_log()
    log["item"] = log["item"].str[1:].astype(int)
    log.to_csv(tmp_path / "log.csv", index=False)
    items = pd.DataFrame({"item": [*map(str, range(30)), "new"], "price": range(31)})
    items.to_csv(tmp_path / "items.csv", index=False)
    data = opened(tmp_path, "items.csv", log="log.csv")
    assert data.item_ids.tolist() == [*opened(tmp_path, log="log.csv").item_ids.astype(str), "new"]
    assert data.item_features[0].values.tolist() == [
        float(one) if one != "new" else 30.0 for one in data.item_ids
    ]


def test_features_join_a_prepared_folder(folder, tmp_path):
    save_prepared(opened(folder), tmp_path / "prepared", {})
    (tmp_path / "items.parquet").write_bytes((folder / "items.parquet").read_bytes())
    data = opened(tmp_path, "items.parquet", log="prepared")
    wanted = opened(folder, "items.parquet")
    np.testing.assert_array_equal(data.item_ids, wanted.item_ids)
    for one, other in zip(data.item_features, wanted.item_features, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_embeddings_that_came_along_get_zero_rows(folder):
    data = replace(opened(folder), item_embeddings=np.ones([30, 4], np.float32))
    column = content_column("x", "numeric", [1.0, 2.0])
    more = with_features(data, "item", FeatureTable("t", np.array(["i1", "z"], object), (column,)))
    assert more.item_embeddings.shape == (31, 4)
    assert not more.item_embeddings[-1].any()


def test_movielens_knows_its_films():
    data = open_scenario_data("movielens-small", ScenarioConfig(), SplitConfig(), 0)
    kinds = kinds_of(data)
    assert kinds == {
        "title": "text",
        "year": "numeric",
        "genres": "multi-hot",
        "added": "numeric",
    }
    row = data.item_ids.tolist().index(1)
    assert [column.values[row] for column in data.item_features] == [
        "Toy Story",
        1995,
        ("Adventure", "Animation", "Children", "Comedy", "Fantasy"),
        1,
    ]
    less = open_scenario_data(
        *("movielens-small", ScenarioConfig(), SplitConfig(), 0),
        features=FeatureSource(kinds="title=none"),
    )
    assert "title" not in kinds_of(less)
    with pytest.raises(ValueError, match="must be numeric or none for 'year'"):
        open_scenario_data(
            *("movielens-small", ScenarioConfig(), SplitConfig(), 0),
            features=FeatureSource(kinds="year=text"),
        )


def test_the_log_may_call_its_items_otherwise_than_the_table(tmp_path):
    made_log().rename(columns={"item": "sku"}).to_csv(tmp_path / "log.csv", index=False)
    made_items()[["item", "price"]].to_csv(tmp_path / "items.csv", index=False)
    data = opened(tmp_path, "items.csv", log="log.csv", columns="item=sku")
    assert kinds_of(data) == {"price": "numeric"}
