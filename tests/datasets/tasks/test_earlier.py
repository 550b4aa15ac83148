"""A log that has grown: known ids keep their rows, and what was learned from is not held out."""

import numpy as np
import pandas as pd
import pytest
from ranking.small_clicks import clicks

from cmml_tf.config import ScenarioConfig, SplitConfig
from cmml_tf.config.ranking import RankingDataConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.open_ranking_data import open_ranking_data
from cmml_tf.datasets.tasks.earlier import Earlier, earlier_first

SMALL = ScenarioConfig(min_items=2, min_interactions=4)
NOTHING = np.zeros(0, object)


def _log(scenarios, users=40, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (f"c{one:02d}", f"u{rng.integers(users)}", rng.integers(8) + 4 * one, one * 3600.0 + second)
        for one in range(scenarios)
        for second in range(60)
    ]
    return pd.DataFrame(rows, columns=["scenario", "user", "item", "timestamp"])


def _open(folder, log, split, earlier=None, whole=False):
    path = folder / "log.parquet"
    log.to_parquet(path)
    return open_scenario_data(str(path), SMALL, split, 0, earlier=earlier, whole=whole)


def _state(data):
    names = np.array([one.name for one in data.meta_train], object)
    return Earlier(data.user_ids, data.item_ids, names, NOTHING)


@pytest.mark.parametrize("protocol", ["strict", "warm", "time"])
def test_known_ids_keep_their_rows_and_what_was_learned_is_never_asked(tmp_path, protocol):
    split = SplitConfig(protocol=protocol)
    before = _open(tmp_path, _log(12), split)
    later = _log(16, users=60, seed=1)
    later = later[later["item"] != before.item_ids[3]]  # gone from the log, not from the rows
    data = _open(tmp_path, later, split, _state(before))
    for ids, known in ((data.user_ids, before.user_ids), (data.item_ids, before.item_ids)):
        assert len(ids) > len(known)
        assert ids[: len(known)].tolist() == known.tolist()
        assert len(set(ids.tolist())) == len(ids)
    pairs = data.training_pairs()
    assert set(zip(data.user_ids[pairs[0]], data.item_ids[pairs[1]], strict=True)) <= set(
        zip(later["user"], later["item"], strict=True)
    )
    learned = {one.name for one in before.meta_train}
    assert not learned & {one.name for one in (*data.validation, *data.meta_test)}
    assert learned <= {one.name for one in data.meta_train}
    assert all((np.diff(one.candidates) > 0).all() for one in (*data.meta_train, *data.meta_test))
    # A refit of the same has the same rows.
    whole = _open(tmp_path, later, split, _state(before), whole=True)
    assert whole.user_ids.tolist() == data.user_ids.tolist()
    assert len(whole.meta_train) == 16


def test_an_earlier_moment_would_ask_what_was_learned(tmp_path):
    before = _open(tmp_path, _log(12), SplitConfig(protocol="time", time=str(10 * 3600)))
    split = SplitConfig(protocol="time", time=str(6 * 3600))
    with pytest.raises(ValueError, match=r"must be new to the run that is continued.*c0"):
        _open(tmp_path, _log(12), split, _state(before))


def test_a_state_is_read_as_it_was_written_and_kinds_of_ids_do_not_change(tmp_path):
    state = Earlier(np.array(["b", "ä"], object), np.array([7, 3]), NOTHING, NOTHING)
    state.save(tmp_path)
    read = Earlier.load(tmp_path)
    for name, value in vars(state).items():
        assert getattr(read, name).tolist() == value.tolist()
        assert getattr(read, name).dtype == value.dtype
    assert earlier_first(np.array(["7"], object), np.array([7, 8])).tolist() == ["7", "8"]
    with pytest.raises(ValueError, match="must be integers"):
        earlier_first(np.array([7]), np.array(["x"], object))
    (tmp_path / "tasks.parquet").unlink()
    with pytest.raises(ValueError, match=r"tasks\.parquet is missing or damaged"):
        Earlier.load(tmp_path)


def test_what_has_been_divided_has_its_rows_settled():
    none = Earlier(np.arange(2), np.arange(2), NOTHING, NOTHING)
    with pytest.raises(ValueError, match="`continue_from` must be none: planted has been divided"):
        open_scenario_data("planted", ScenarioConfig(), SplitConfig(), 0, earlier=none)


def test_users_that_were_learned_from_are_not_asked(tmp_path):
    def opened(table, earlier=None):
        table.to_csv(tmp_path / "clicks.csv", index=False)
        path = str(tmp_path / "clicks.csv")
        return open_ranking_data(path, RankingDataConfig(), None, 0, earlier=earlier)

    before = opened(clicks())
    learned = before.user_ids[before.learned.user]
    earlier = Earlier(before.user_ids, before.item_ids, learned, NOTHING)
    more = pd.concat([clicks(users=100), pd.DataFrame({"user": ["u1", "u2"], "item": [99, 99]})])
    data = opened(more, earlier)
    assert data.user_ids[:90].tolist() == before.user_ids.tolist()
    assert data.item_ids.tolist() == [*before.item_ids.tolist(), 99]
    asked = set(data.user_ids[data.asked.support.user])
    assert len(asked) == 20
    assert not asked & set(learned)
