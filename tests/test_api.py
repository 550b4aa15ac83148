"""The library as a Python program uses it: tables in, a trained run, tables out."""

import gzip
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tensorflow as tf

import cmml_tf
from cmml_tf.config import ReadConfig, ScenarioConfig
from cmml_tf.config.rating import RatingDataConfig

SHORT = {"training": {"steps_per_epoch": 10, "max_epochs": 1}, "curve": {"draws": 1}}
SUPPORT = pd.DataFrame({"user": ["u1", "nobody", "u2"], "item": [3, 5, 9], "label": [1, 1, 0]})


def clicks(seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "scenario": np.repeat([f"theme {n}" for n in range(8)], 400),
            "user": [f"u{n}" for n in rng.integers(0, 60, 3200)],
            "item": rng.integers(0, 40, 3200),
        }
    )


def films(more=0):
    items = range(40 + more)
    names = [f"The Film of Day {n}" for n in items]
    return pd.DataFrame({"item": items, "name": names, "year": [1990 + n // 2 for n in items]})


def themes(log, items=None):
    kinds = None if items is None else {"year": "categorical"}
    config = ScenarioConfig(min_interactions=100)
    return cmml_tf.scenario_data(log, items=items, kinds=kinds, scenario=config)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api") / "run"
    data = themes(clicks(), films())
    return cmml_tf.fit(data, run_dir=folder, options=SHORT, progress=False), folder


@pytest.fixture(scope="module")
def version(fitted, tmp_path_factory):
    return fitted[0].export(tmp_path_factory.mktemp("api") / "export")


@pytest.fixture(scope="module")
def served(version):
    """The export as a server loads it; its tables must live."""
    return tf.saved_model.load(str(version))


def test_evaluation_is_a_table_and_its_numbers(fitted):
    evaluation = fitted[0].evaluate()
    assert f"{evaluation.metrics['meta_test']['recall@10']:.4f}" in str(evaluation)
    assert {"item_pop", "twin", "none", "als_fold_in"} < evaluation.metrics["controls"].keys()
    assert evaluation.metrics["verdict"]["sentence"] in str(evaluation)
    assert evaluation.metrics["verdict"]["sentence"] in fitted[0].report().read_text()
    assert (fitted[1] / "metrics.json").exists()


def test_scores_are_those_of_the_exported_model(fitted, version, served, tmp_path):
    run = fitted[0]
    pairs = pd.DataFrame({"user": ["u1", "u7", "stranger"], "item": [1, 2, 3]})
    ours = run.score(SUPPORT, pairs)
    answer = served.signatures["serving_default"](
        support_user_id=tf.constant([SUPPORT["user"].tolist()]),
        support_item_id=tf.constant([SUPPORT["item"].tolist()], tf.int64),
        support_label=tf.constant([SUPPORT["label"].tolist()], tf.float32),
        support_length=tf.constant([3]),
        query_user_id=tf.constant([pairs["user"].tolist()]),
        query_item_id=tf.constant([pairs["item"].tolist()], tf.int64),
    )
    np.testing.assert_allclose(ours["score"], answer["score"][0], rtol=1e-5)
    assert ours["user_known"].tolist() == [True, True, False]
    assert ours["item_known"].all()
    assert run.context(SUPPORT).ndim == 1
    # Another place changes no byte, the manifest's included.
    other = run.export(tmp_path / "a" / "longer" / "place")
    files = [path.relative_to(version) for path in version.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert all((version / file).read_bytes() == (other / file).read_bytes() for file in files)


def test_recommendations_are_the_best_scored_items_that_the_user_has_not_taken(fitted):
    run = fitted[0]
    best = run.recommend(SUPPORT, "u1", k=5)
    every = pd.DataFrame({"user": "u1", "item": [n for n in range(40) if n != 3]})
    scored = run.score(SUPPORT, every).sort_values("score", ascending=False, kind="stable")
    assert best["item"].tolist() == scored["item"].tolist()[:5]
    assert best["score"].is_monotonic_decreasing
    # What u2 refused is no item that u2 has taken.
    assert 9 in run.recommend(SUPPORT, "u2", k=40)["item"].tolist()


def test_given_items_are_ranked_and_unknown_ones_answered(fitted):
    ranked = fitted[0].recommend(SUPPORT, "stranger", among=[7, 31, "new"])
    assert set(ranked["item"]) == {7, 31, "new"}
    assert ranked.set_index("item")["item_known"].to_dict() == {7: True, 31: True, "new": False}
    assert np.isfinite(ranked["score"]).all()


def test_items_that_came_after_training_are_exported(fitted, served, tmp_path):
    run = fitted[0]
    extended = run.export(tmp_path / "after", items=films(more=2))
    request = {
        "support_user_id": tf.constant([["u1", "u2"]]),
        "support_item_id": tf.constant([[3, 9]], tf.int64),
        "support_label": tf.constant([[1.0, 0.0]]),
        "support_length": tf.constant([2]),
    }
    pairs = {
        "query_user_id": tf.constant([["u2", "u2"]]),
        "query_item_id": tf.constant([[7, 40]], tf.int64),
    }
    answers = []
    for loaded in (served, tf.saved_model.load(str(extended))):
        scored = loaded.signatures["serving_default"](**request, **pairs)
        best = loaded.signatures["recommend"](**request, user_id=tf.constant(["u2"]))
        answers.append((scored, best["item_id"].numpy()[0].tolist()))
    (before, best_before), (after, best_after) = answers
    assert before["item_known"].numpy().tolist() == [[True, False]]
    assert after["item_known"].numpy().tolist() == [[True, True]]
    # Nothing is trained: what was known scores as it did; its features tell the new item apart.
    assert before["score"][0, 0] == after["score"][0, 0]
    assert before["score"][0, 1] != after["score"][0, 1]
    kept = [item for item in best_after if item < 40]
    assert kept == best_before[: len(kept)]
    with pytest.raises(ValueError, match=r"`users` must be left out: .* without features of users"):
        run.export(tmp_path / "none", users=pd.DataFrame({"user": ["v"], "age": [3]}))


def test_no_support_is_a_support(fitted):
    assert len(fitted[0].recommend(SUPPORT.iloc[:0], "u1", k=3)) == 3


def test_what_is_missing_or_wrong_is_named(fitted):
    with pytest.raises(ValueError, match="must have a column 'item'"):
        fitted[0].recommend(SUPPORT[["user"]], "u1")
    with pytest.raises(ValueError, match="`k` must be a positive integer"):
        fitted[0].recommend(SUPPORT, "u1", k=0)
    with pytest.raises(ValueError, match="`label` must be finite"):
        fitted[0].context(SUPPORT.assign(label=np.nan))
    with pytest.raises(TypeError, match="A table must be a pandas DataFrame"):
        cmml_tf.scenario_data(7)


def test_a_finished_run_is_opened_again(fitted):
    run, folder = fitted
    again = cmml_tf.load(folder)
    pd.testing.assert_frame_equal(again.recommend(SUPPORT, "u1"), run.recommend(SUPPORT, "u1"))


def test_the_same_call_continues_and_other_data_is_refused(fitted):
    run, folder = fitted
    trained = sorted((folder / "model" / "checkpoints").iterdir())
    again = cmml_tf.fit(themes(clicks(), films()), run_dir=folder, options=SHORT, progress=False)
    assert sorted((folder / "model" / "checkpoints").iterdir()) == trained
    pd.testing.assert_frame_equal(again.recommend(SUPPORT, "u1"), run.recommend(SUPPORT, "u1"))
    for changed in (themes(clicks(seed=1), films()), themes(clicks(), films(more=1))):
        with pytest.raises(ValueError, match="data has changed since the run in"):
            cmml_tf.fit(changed, run_dir=folder, options=SHORT, progress=False)
    with pytest.raises(ValueError, match=r"started with another configuration \(different: seed"):
        cmml_tf.fit(
            themes(clicks(), films()), run_dir=folder, seed=1, options=SHORT, progress=False
        )


KILLED = """
import os, signal, sys
from test_api import SHORT, clicks, films, themes
import cmml_tf

folder, left = sys.argv[1], int(sys.argv[2])
data = themes(clicks(), films())

def before(event, arguments):
    global left
    if event in ("open", "os.mkdir", "os.rename") and folder in str(arguments[0]):
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

sys.addaudithook(before)
cmml_tf.fit(data, run_dir=folder, options=SHORT, progress=False)
"""


@pytest.mark.slow
def test_a_call_that_was_killed_while_it_kept_its_tables_is_finished_by_the_next(tmp_path):
    folder = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for step in (2, 4, 6, 8):
        command = [sys.executable, "-c", KILLED, str(folder), str(step)]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not (folder / "config.yaml").exists()
    run = cmml_tf.fit(themes(clicks(), films()), run_dir=folder, options=SHORT, progress=False)
    assert len(run.recommend(SUPPORT, "u1", k=3)) == 3
    assert not (folder / ".data").exists()


@pytest.mark.slow
def test_a_refit_takes_the_best_epochs_of_a_validated_run_at_their_learning_rates(tmp_path):
    training = {"steps_per_epoch": 5, "max_epochs": 6, "plateau_patience": 1}
    run = cmml_tf.fit(
        themes(clicks()),
        "cmml-film",
        run_dir=tmp_path / "run",
        options={"model": {"encoder_units": 16}, "training": training},
        progress=False,
    )
    made = run.refit(progress=False)
    evaluated, refitted = (
        [json.loads(line) for line in (folder / "model/metrics.jsonl").read_text().splitlines()]
        for folder in (run.folder, made.folder)
    )
    recalls = [row["val_recall@20"] for row in evaluated]
    best = recalls.index(max(recalls)) + 1
    assert [row["lr"] for row in refitted] == [row["lr"] for row in evaluated[:best]]
    assert made.facts["refit"]["steps"] == 5 * best
    assert made.facts["refit"]["learned"]["scenarios"] == 8
    assert made.facts["refit"]["added"]["scenarios"] == 3  # one of validation
    assert not any(name.startswith("val_") for row in refitted for name in row)


def test_tables_of_features_come_with_the_log(tmp_path):
    films(more=2).to_csv(tmp_path / "films.csv", index=False)
    people = pd.DataFrame({"user": ["u1", "u2"], "age": [30, 40]})
    for items in (films(more=2), tmp_path / "films.csv"):
        data = cmml_tf.scenario_data(clicks(), items=items, users=people).data
        kinds = [(column.name, column.kind) for column in data.item_features]
        assert kinds == [("name", "text"), ("year", "numeric")]
        assert data.item_ids.tolist() == [*range(42)]
        assert data.user_features[0].known == 2


class Foreign:
    """A table of another library: it has the protocol and nothing else."""

    def __init__(self, frame):
        self.table = pa.Table.from_pandas(frame)

    def __dataframe__(self, **options):
        return self.table.__dataframe__(**options)


def test_tables_of_other_libraries_and_files_are_the_same_data(tmp_path):
    clicks().to_parquet(tmp_path / "log.parquet")
    expected = themes(clicks()).data.fingerprint()
    for log in (Foreign(clicks()), pa.Table.from_pandas(clicks()), tmp_path / "log.parquet"):
        assert themes(log).data.fingerprint() == expected


def test_users_with_features_are_a_setting_too(tmp_path):
    rng = np.random.default_rng(0)
    rated = pd.DataFrame(
        {
            "user": np.repeat(np.arange(40), 20),
            "item": np.concatenate([rng.permutation(60)[:20] for _ in range(40)]),
            "value": rng.integers(1, 6, 800).astype(float),
        }
    )
    items = pd.DataFrame({"item": np.arange(60), "genre": ["a|b", "b", "c"] * 20, "price": 1.5})
    data = cmml_tf.user_data(
        rated,
        items=items.assign(price=rng.random(60)),
        kinds={"genre": "multi-hot"},
        tasks=RatingDataConfig(lowest=1.0, highest=5.0),
    )
    run = cmml_tf.fit(data, "ridge", run_dir=tmp_path / "run", options=SHORT, progress=False)
    support = pd.DataFrame({"user": [1, 1], "item": [2, 3], "value": [5.0, 1.0]})
    predicted = run.score(support, pd.DataFrame({"user": [1, 999], "item": [4, 4]}))
    assert predicted["user_known"].tolist() == [True, False]
    assert predicted["score"].between(0, 7).all()
    assert {"blend", "twin"} < run.evaluate().metrics["controls"].keys()
    facts = run.refit(progress=False).facts["refit"]
    assert facts["learned"] == {"users": 40, "ratings": 800}
    assert facts["added"] == {"users": 10, "ratings": 200}


def rated():
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.permutation(60)[:20] for _ in range(40)])
    table = {
        "user": [f"u{n}" for n in np.repeat(np.arange(40), 20)],
        "item": [["NA", f'"{n}'][n % 2] if n < 2 else f"{n:03d}" for n in items],
        "value": rng.integers(1, 6, 800),
    }
    films = {"item": ["NA", '"1', *(f"{n:03d}" for n in range(2, 60))]}
    return pd.DataFrame(table), pd.DataFrame({**films, "genre": ["War", "NA", ""] * 20, "year": 7})


def _written(table, path):
    """A text without quotes, or the parts of a parquet table."""
    if path.suffix:
        separator = "\t" if ".tsv" in path.name else ";"
        lines = [separator.join(map(str, row)) for row in [table.columns, *table.to_numpy()]]
        content = "\n".join(lines).encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    else:
        path.mkdir()
        table[:30].to_parquet(path / "part-0.parquet", index=False)
        table[30:].to_parquet(path / "part-1.parquet", index=False)
    return str(path)


@pytest.mark.parametrize("name", ["own.csv", "own.tsv.gz", "own"])
def test_tables_by_path_are_read_by_the_one_reader_whatever_is_asked_of_them(tmp_path, name):
    """Text that pandas takes for a null is text, and a quote reaches no further than its line."""
    ratings, films = rated()
    (tmp_path / "films").mkdir()
    log, items = _written(ratings, tmp_path / name), _written(films, tmp_path / "films" / name)
    for given in ({}, {"objective": "ranking"}):
        expected = cmml_tf.user_data(ratings, **given).data
        assert {"NA", '"1', "007"} < {*expected.item_ids}
        assert cmml_tf.user_data(log, **given).data.fingerprint() == expected.fingerprint()
    expected = cmml_tf.user_data(ratings, items=films).data
    assert [one.feature.name for one in expected.item_columns] == ["id", "genre", "year"]
    assert [one.feature.kind for one in expected.item_columns] == ["id", "categorical", "numeric"]
    for given in ((log, items), (ratings, items), (log, films)):
        read = cmml_tf.user_data(given[0], items=given[1]).data
        assert read.fingerprint() == expected.fingerprint()


def test_ids_of_a_frame_that_are_text_and_numbers_are_text():
    ratings, _ = rated()
    mixed = [int(item) if item.isdecimal() else item for item in ratings["item"]]
    data = cmml_tf.user_data(ratings.assign(item=mixed), objective="ranking").data
    assert {"NA", "7"} < {*data.item_ids}
    large = pd.Series([int(user[1:]) + 2**70 for user in ratings["user"]], dtype=object)
    assert min(cmml_tf.user_data(ratings.assign(user=large)).data.user_ids) == str(2**70)
    values = [7.5 if n % 2 else "some" for n in range(60)]
    items = pd.DataFrame({"item": sorted({*ratings["item"]}), "size": values})
    column = cmml_tf.user_data(ratings, items=items).data.item_columns[1]
    assert column.feature.vocabulary == ("7.5", "some")
    with pytest.raises(ValueError, match=r"Column 'item' .*Received: .*\(object\) in row 800"):
        cmml_tf.user_data(ratings.assign(item=[*mixed[:-1], object()]))
    split = ratings.assign(item=[*mixed[:-1], "7\udc80"])
    with pytest.raises(ValueError, match=r"Column 'item' .*UTF-8 .*: '7\\udc80' in row 800"):
        cmml_tf.user_data(split)
    with pytest.raises(ValueError, match=r"Column 'user' .*\(complex\) in row 1"):
        cmml_tf.user_data(ratings.assign(user=np.arange(len(ratings)) * 1j))
    ends = {name: pa.array(ratings[name]) for name in ("item", "value")}
    ends["user"] = pc.run_end_encode(pa.array(ratings["user"]).cast(pa.string()))
    with pytest.raises(ValueError, match=r"types that Parquet files have\..* 'user' \(run"):
        cmml_tf.user_data(pa.table(ends))
    with pytest.raises(ValueError, match="must have each column once"):
        cmml_tf.user_data(pd.concat([ratings, ratings[["user"]]], axis=1))


def test_advice_about_malformed_lines_can_be_followed_and_names_the_file(tmp_path):
    ratings, films = rated()
    files = {"items": _written(films, tmp_path / "films.csv")}
    log = tmp_path / "own.csv"
    _written(ratings, log)
    log.write_bytes(log.read_bytes() + b"\nu1;;3")
    with pytest.raises(ValueError, match=rf"Line 802 of {log} .*raise `max_malformed`"):
        cmml_tf.user_data(log, **files)
    data = cmml_tf.user_data(log, **files, read=ReadConfig(max_malformed=1)).data
    assert data.counts["malformed lines, left out"] == 1
    films[:0].to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(ValueError, match=rf"{tmp_path}/none.csv must have a row for each item"):
        cmml_tf.user_data(ratings, items=tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match=r"The table .*gone\.csv is missing"):
        cmml_tf.user_data(log, items=tmp_path / "gone.csv")
    with pytest.raises(ValueError, match="`kinds` must name features that there are: genre, year"):
        cmml_tf.user_data(ratings, items=films, kinds={"gnere": "categorical"})


def test_features_of_users_or_items_that_rated_nothing_are_refused():
    ratings, films = rated()
    people = pd.DataFrame({"user": ["somebody"], "age": [7.0]})
    with pytest.raises(ValueError, match=r"users with features .*none is\. Received: user 'some"):
        cmml_tf.user_data(ratings, users=people)
    others = films.assign(item=[f"0{item}" for item in films["item"]])
    with pytest.raises(ValueError, match=r"items with features .*none is\. Received: item '0"):
        cmml_tf.user_data(ratings, items=others)


@pytest.mark.parametrize("objective", [None, "rating", "ranking"])
def test_a_table_from_memory_is_named_as_such_where_a_row_or_feature_is_refused(objective):
    log = clicks() if objective is None else rated()[0]
    items = pd.DataFrame({"item": log["item"].unique()}).assign(size=1.0, year=1999)

    def read(log, items):
        if objective is None:
            return themes(log, items)
        return cmml_tf.user_data(log, items=items, objective=objective)

    name = "ratings" if objective == "rating" else "log"
    damaged = log.assign(item=log["item"].where(log.index != 3))
    with pytest.raises(ValueError, match=rf"^Line 4 of the table `{name}` must hold user, item"):
        read(damaged, items)
    infinite = items.assign(size=np.where(items.index == 2, np.inf, 1.0))
    with pytest.raises(ValueError, match=r"^Column 'size' of the table `items` must hold finite"):
        read(log, infinite)
    if objective == "rating":
        with pytest.raises(ValueError, match=r"^Ratings of the given tables must lie between"):
            read(log.assign(value=9.0), items)
