"""ScenarioMeta's layout: raw ids to rows, order kept, validation carved, bad files explained."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from cmml_tf.config import SplitConfig
from cmml_tf.datasets.sources.scenario_meta import load_scenario_meta

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def _write(folder, *, train=None, test=None, user_dict=None, users=None):
    rng = np.random.default_rng(0)
    (folder / "embeddings").mkdir(parents=True)
    (folder / "train_data").mkdir()
    users = rng.normal(size=(31, 4)) if users is None else users
    np.save(folder / "embeddings/user_embeddings.npy", users)
    np.save(folder / "embeddings/item_embeddings.npy", rng.normal(size=(20, 4)))
    if user_dict is None:
        user_dict = {f"u{row}": row for row in range(30)}  # row 30 is padding
    item_dict = {100 + row: 19 - row for row in range(20)}
    if train is None:
        train = [
            (name, [(f"u{u}", 100 + int(rng.integers(20)), 5.0) for u in range(20)])
            for name in ("a", "b", "c", "d")
        ]
    if test is None:
        test = [("t", [("u3", 105), ("u1", 104), ("u2", 103)], [("u9", 101), ("u8", 104)])]
    for name, value in (("user_dict", user_dict), ("item_dict", item_dict)):
        (folder / "embeddings" / name).write_bytes(pickle.dumps(value))
    for name, value in (("train_data", train), ("test_data", test)):
        (folder / "train_data" / name).write_bytes(pickle.dumps(value))
    return folder


def test_raw_ids_become_rows_and_support_keeps_its_order(tmp_path):
    data = load_scenario_meta(_write(tmp_path / "set"), SplitConfig(), seed=0)
    (test,) = data.meta_test
    assert data.user_ids[test.support_users].tolist() == ["u3", "u1", "u2"]
    assert data.item_ids[test.support_items].tolist() == [105, 104, 103]
    assert data.user_ids[test.evaluation_users].tolist() == ["u9", "u8"]
    assert sorted(data.item_ids[test.candidates].tolist()) == [101, 103, 104, 105]
    assert test.candidates.tolist() == sorted(test.candidates)
    assert len(data.user_ids) == len(data.user_embeddings) == 30
    original = np.load(tmp_path / "set/embeddings/item_embeddings.npy")
    row = data.item_ids.tolist().index(100)
    np.testing.assert_allclose(data.item_embeddings[row], original[19], rtol=1e-6)


def test_validation_is_carved_from_train_by_seed(tmp_path):
    folder = _write(tmp_path / "set")
    split = SplitConfig(validation_fraction=0.25, max_support_pairs=7)
    data = load_scenario_meta(folder, split, seed=1)
    (validation,) = data.validation
    names = {scenario.name for scenario in data.meta_train} | {validation.name}
    assert names == {"a", "b", "c", "d"}
    assert len(validation.support_users) == 7
    assert len(np.unique(validation.evaluation_users)) == 10
    assert not np.isin(validation.support_users, validation.evaluation_users).any()
    history = set(zip(data.history_users, data.history_items, strict=True))
    assert history == {pair for s in data.meta_train for pair in zip(s.users, s.items, strict=True)}
    again = load_scenario_meta(folder, split, seed=1)
    assert again.fingerprint() == data.fingerprint()
    chosen = {load_scenario_meta(folder, split, seed=s).validation[0].name for s in range(12)}
    assert len(chosen) > 1


def test_no_validation_scenario_when_the_fraction_is_zero(tmp_path):
    data = load_scenario_meta(_write(tmp_path / "set"), SplitConfig(validation_fraction=0), seed=0)
    assert data.validation == ()
    assert len(data.meta_train) == 4


def test_what_is_dropped_is_counted(tmp_path):
    pairs = [("u1", 100), ("u1", 101), ("u1", 100), ("nobody", 100), ("u2", 999)]
    train = [("a", pairs), ("b", [("u1", 100), ("u2", 101)]), ("empty", [])]
    test = [("t", [("u3", 105)], [("u3", 105), ("u9", 101)]), ("alone", [("u3", 105)], [])]
    folder = _write(tmp_path / "set", train=train, test=test)
    data = load_scenario_meta(folder, SplitConfig(validation_fraction=0), seed=0)
    assert [len(scenario.users) for scenario in data.meta_train] == [2, 2]
    assert data.counts["repeated pairs of a scenario, dropped"] == 1
    assert data.counts["rows of user_embeddings.npy without an id, left out"] == 1
    assert "rows of item_embeddings.npy without an id, left out" not in data.counts
    assert data.counts["pairs with an id without embedding, dropped"] == 2
    assert data.counts["scenarios with fewer than 2 items, dropped"] == 1
    assert data.counts["evaluation pairs that are support too, dropped"] == 1
    assert data.counts["scenarios without support or evaluation pairs, dropped"] == 1


def test_pairs_may_be_arrays(tmp_path):
    train = [(name, np.array([[1, 100], [2, 101], [3, 102]])) for name in ("a", "b", "c")]
    folder = _write(
        tmp_path / "set",
        train=train,
        test=[("t", np.array([[1, 100]]), np.array([[2, 100]]))],
        user_dict={np.int64(row): np.int32(row) for row in range(31)},
    )
    data = load_scenario_meta(folder, SplitConfig(validation_fraction=0), seed=0)
    assert data.user_ids.dtype == np.int64
    assert data.user_ids[data.meta_train[0].users].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": [("t", [("u1", 100), ("u1", 101)])]}, "'t' .* stands 2 times.*disjoint"),
        ({"train": [("a", 3)]}, "'a' .* must hold a list of"),
        ({"train": [("a", [1, 2])]}, "Pair 0 is not one"),
        ({"train": [("a",)]}, "Entry 0 is not one"),
        ({"train": {"a": []}}, "Received: dict"),
        ({"train": []}, "too few"),
        ({"test": []}, "no scenario with support and evaluation"),
        ({"user_dict": {"u1": 31}}, "different data sets"),
        ({"user_dict": {"u1": 1, "u2": 1}}, "row of its own"),
        ({"user_dict": ["u1"]}, "Received: list"),
        ({"user_dict": {"u1": True}}, "a row number"),
        ({"user_dict": {b"u1": 1}}, "ids that are text or numbers.*bytes"),
        ({"user_dict": {(1, 2): 1}}, "ids that are text or numbers.*tuple"),
        ({"user_dict": {"": 1}}, "lines of text, not empty"),
        ({"user_dict": {"a\nb": 1}}, "lines of text, not empty"),
        ({"user_dict": {"7": 1, 7: 2}}, "the id 7 twice"),
        ({"users": np.full((31, 4), 1e39)}, "Row 0, column 0 .* has 1e.39, beyond float32"),
        ({"users": np.full((31, 4), np.nan)}, "Row 0, column 0 .* has nan"),
        ({"users": np.zeros(31)}, "must hold a matrix"),
    ],
)
def test_files_that_make_no_sense_are_explained(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load_scenario_meta(_write(tmp_path / "set", **changes), SplitConfig(), seed=0)


def test_missing_and_truncated_files_are_named(tmp_path):
    folder = _write(tmp_path / "set")
    matrix = folder / "embeddings/item_embeddings.npy"
    matrix.write_bytes(matrix.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"item_embeddings.npy is not a complete \.npy file"):
        load_scenario_meta(folder, SplitConfig(), seed=0)
    matrix.unlink()
    with pytest.raises(FileNotFoundError, match=r"not complete: embeddings/item_embeddings\.npy"):
        load_scenario_meta(folder, SplitConfig(), seed=0)


@pytest.mark.skipif(
    not (SHARED / "scenario-ml1m-genre").is_dir(), reason="../shared is not beside the checkout"
)
def test_genre_scenarios_of_movielens_1m():
    data = load_scenario_meta(SHARED / "scenario-ml1m-genre", SplitConfig(), seed=0)
    assert (len(data.meta_train), len(data.validation), len(data.meta_test)) == (46, 5, 17)
    assert data.counts["meta-test support pairs"] == 8418
    assert data.counts["meta-test evaluation pairs"] == 48097
    assert sum(len(np.unique(s.evaluation_users)) for s in data.meta_test) == 12749
    assert data.user_embeddings.shape == (5991, 64)
