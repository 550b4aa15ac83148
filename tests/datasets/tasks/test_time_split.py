"""The protocol of time: what was before is learned from, what begins later is asked."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmml_tf.config import ReadConfig, ScenarioConfig, SplitConfig
from cmml_tf.datasets.interactions import Interactions, without_catalogue
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.tasks.scenarios import find_scenarios
from cmml_tf.datasets.tasks.splits import split_scenarios
from cmml_tf.episodes.scenario_index import index_scenarios

BY_COLUMN = ScenarioConfig(definition="column:scenario", min_items=2, min_interactions=4)
NOON = 1_700_000_000.0


def _campaigns(number=12, clicks=60, users=30, organic=200, seed=0):
    """Campaigns that begin an hour after one another and last two, and clicks in none of them."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"c{campaign:02d}", rng.integers(users), rng.integers(8) + 4 * campaign, second)
        for campaign in range(number)
        for second in np.sort(rng.uniform(campaign, campaign + 2, clicks)) * 3600
    ]
    end = number * 3600
    rows += [(None, rng.integers(users), rng.integers(8), t) for t in rng.uniform(0, end, organic)]
    table = pd.DataFrame(rows, columns=["scenario", "user", "item", "timestamp"])
    return table.assign(timestamp=np.round(table["timestamp"] + NOON, 3), value=1.0)


def _split(table, split=None, seed=0):
    found = find_scenarios(Interactions("log", table, without_catalogue()), BY_COLUMN)
    return split_scenarios(found, split or SplitConfig(), seed)


def _seconds(moment):
    return pd.Timestamp(moment).timestamp()


def _pairs(data, users, items):
    return list(zip(data.user_ids[users].tolist(), data.item_ids[items].tolist(), strict=True))


def _check(table, data, split):
    """The facts, from the log alone."""
    moment = _seconds(data.moment)
    first = table.groupby(["user", "item"])["timestamp"].min()
    inside = table.dropna(subset="scenario").groupby(["scenario", "user", "item"])["timestamp"]
    inside = inside.min()
    starts = inside.groupby("scenario").min()
    after = set(starts.index[starts >= moment])
    assert {s.name for s in data.meta_test} <= after
    learned = [*data.meta_train, *data.validation]
    assert not {s.name for s in learned} & after
    # Validation is the last of what is before.
    if data.validation:
        least = min(starts[s.name] for s in data.validation)
        assert all(starts[s.name] <= least for s in data.meta_train)

    training = _pairs(data, *data.training_pairs())
    of_validation = {
        pair
        for s in data.validation
        for pair in inside[s.name].index
        if inside[s.name][pair] < moment
    }
    before = {pair for pair in first.index if first[pair] < moment}
    if not data.counts["scenarios without support, evaluation or training pairs, dropped"]:
        assert set(training) == before - of_validation
    history = _pairs(data, data.history_users, data.history_items)
    assert set(history) == set(training)
    assert len(data.evaluation_users) == 0
    for scenario in data.meta_train:
        own = set(_pairs(data, scenario.users, scenario.items))
        own |= set(_pairs(data, scenario.aside_users, scenario.aside_items))
        assert own == {
            pair
            for pair in inside[scenario.name].index
            if inside[scenario.name][pair] < moment and pair not in of_validation
        }
        assert set(data.item_ids[scenario.candidates]) == {item for _, item in own}

    for scenario in (*data.validation, *data.meta_test):
        times = inside[scenario.name]
        if scenario in data.validation:
            times = times[times < moment]
        support = _pairs(data, scenario.support_users, scenario.support_items)
        asked = _pairs(data, scenario.evaluation_users, scenario.evaluation_items)
        assert not set(support) & set(asked)
        assert set(support) | set(asked) == set(times.index)
        assert len(support) == min(split.max_support_pairs, len(times) // 2)
        of_support = [times[pair] for pair in support]
        assert of_support == sorted(of_support)  # any n first of them are the n first clicks
        assert max(of_support) <= min(times[pair] for pair in asked)
        assert set(data.item_ids[scenario.candidates]) == {item for _, item in times.index}
    for kind, known in (("user", data.known_users()), ("item", data.known_items())):
        ids = {"user": data.user_ids, "item": data.item_ids}[kind]
        assert set(ids[known]) == {pair[kind == "item"] for pair in training}


@pytest.mark.parametrize(
    "split",
    [
        SplitConfig(),
        SplitConfig(time="2023-11-15T04:00:00Z", max_support_pairs=7),
        SplitConfig("time", time=0.6, background_fraction=0.0),
        SplitConfig("time", meta_test_fraction=0.5, validation_fraction=0.0),
    ],
    ids=["by itself", "a date", "a share", "the last half"],
)
def test_before_is_learned_from_and_later_scenarios_are_asked(split):
    table = _campaigns()
    data = _split(table, split)
    assert data.protocol == "time"
    assert len(data.meta_test) >= 3
    _check(table, data, split)
    assert data.counts["pairs after the moment, in no scenario that begins then, left out"] > 0
    assert data.known_shares()["item"] < 1  # later campaigns have items that nobody took before
    if split.moment is not None and split.moment.kind == "seconds":
        assert data.moment == "2023-11-15T04:00:00Z"
    if split.moment is not None and split.moment.kind == "share":
        pairs = table.groupby(["user", "item"])["timestamp"].min()
        assert 0.6 <= (pairs < _seconds(data.moment)).mean() < 0.61
    if split.meta_test_fraction == 0.5:
        assert len(data.meta_test) == 6


@settings(deadline=None, max_examples=20)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("abcdef") | st.none(),
            st.integers(0, 9),
            st.integers(0, 12),
            st.integers(0, 40),
        ),
        min_size=60,
    ),
    share=st.sampled_from([None, 0.2, 0.5]),
    seed=st.integers(0, 2**31),
)
def test_on_any_table(rows, share, seed):
    # Scenarios begin 5 seconds after one another.
    rows = [
        (name, user, item, NOON + second + 5 * " abcdef".index(name or " "), 1.0)
        for name, user, item, second in rows
    ]
    table = pd.DataFrame(rows, columns=["scenario", "user", "item", "timestamp", "value"])
    split = SplitConfig("time", time=share, max_support_pairs=5)
    try:
        data = _split(table, split, seed)
    except ValueError:  # too few scenarios in this draw
        return
    _check(table, data, split)


def test_equal_times_are_in_an_order_that_is_drawn():
    """Times by the day say nothing of the order within it: the ids must not make one."""
    table = _campaigns(number=4, clicks=200)
    table["timestamp"] = table["timestamp"] // 3600 * 3600
    data = _split(table, SplitConfig("time", validation_fraction=0.0))
    users = data.meta_test[0].support_users
    assert (np.diff(users) < 0).any()
    again = _split(table, SplitConfig("time", validation_fraction=0.0), seed=1).meta_test[0]
    assert users.tolist() != again.support_users.tolist()


def test_auto_is_time_where_scenarios_begin_one_after_the_other():
    table = _campaigns()
    assert _split(table).because == "6 of 12 scenarios begin after half of the log"
    # All at once.
    together = table.assign(timestamp=NOON + np.arange(len(table)) % 7)
    assert _split(together).protocol == "strict"
    assert _split(together).because == "0 of 12 scenarios begin after half of the log"
    # No time tells anything.
    assert _split(table.assign(timestamp=0.0)).because == "log has no times, or all are the same"
    untimed = table.copy()
    untimed.loc[3, "timestamp"] = np.nan
    assert _split(untimed).because == "log has 1 interactions without a time"
    for protocol in ("strict", "warm"):
        assert _split(table, SplitConfig(protocol)).protocol == protocol
        assert _split(table, SplitConfig(protocol)).because == ""


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2030-01-01", r"time='2030-01-01'.*from 2023-11-14T22:.*Z to 2023-11-15T09.*, 0 begin"),
        ("2001-01-01", r"2001-01-01T00:00:00Z; of the 12 scenarios of log.* 12 begin then or lat"),
        (0.999, r"time='0.999'"),
    ],
)
def test_a_moment_that_leaves_nothing_is_refused(time, said):
    with pytest.raises(ValueError, match=rf"`time` must leave scenarios.*{said}"):
        _split(_campaigns(), SplitConfig(time=time))


def test_without_times_the_protocol_of_time_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`protocol` must not be time: log has no times, or all"):
        _split(_campaigns().assign(timestamp=5.0), SplitConfig("time"))
    path = tmp_path / "log.csv"
    _campaigns().drop(columns="timestamp").to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"must have a column 'time' \(or ts, date, .*timestamp"):
        open_scenario_data(str(path), BY_COLUMN, SplitConfig(time=0.5), seed=0)
    for data in ("planted:users=200,users_per_scenario=30", "insteval"):
        with pytest.raises(ValueError, match=r"`protocol` must"):
            open_scenario_data(data, ScenarioConfig(), SplitConfig("time"), seed=0)


WRITTEN = {
    "timestamp": lambda seconds: seconds,
    "ts": lambda seconds: (seconds * 1000).astype(np.int64),
    "Date": lambda seconds: pd.to_datetime(seconds, unit="s").dt.strftime("%Y-%m-%d %H:%M:%S.%f"),
    "event_time": lambda seconds: pd.to_datetime(seconds, unit="s", utc=True).dt.tz_convert(
        "Europe/Paris"
    ),
    "clicked at": lambda seconds: pd.to_datetime(seconds, unit="s").dt.strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ"
    ),
}


@pytest.mark.parametrize("called", WRITTEN)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_own_tables_have_times_however_they_are_written(tmp_path, called, suffix):
    table = _campaigns()
    expected = _split(table)
    written = table.drop(columns=["timestamp", "value"])
    written[called] = WRITTEN[called](table["timestamp"])
    path = tmp_path / f"log{suffix}"
    if suffix == ".csv":
        written.to_csv(path, index=False)
    else:
        written.to_parquet(path)
    read = ReadConfig(columns="time=clicked at") if called == "clicked at" else None
    data = open_scenario_data(str(path), BY_COLUMN, SplitConfig(), seed=0, read=read)
    assert data.protocol == "time"
    assert data.moment[:19] == expected.moment[:19]
    assert [s.name for s in data.meta_test] == [s.name for s in expected.meta_test]
    for scenario, same in zip(data.meta_test, expected.meta_test, strict=True):
        assert _pairs(data, scenario.support_users, scenario.support_items) == _pairs(
            expected, same.support_users, same.support_items
        )


def test_a_row_without_a_time_is_malformed_where_times_are_needed(tmp_path):
    table = _campaigns()
    table["timestamp"] = pd.to_datetime(table["timestamp"], unit="s").dt.strftime("%FT%T")
    table.loc[3, "timestamp"] = "yesterday"
    path = tmp_path / "log.csv"
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"Line 5 .*'timestamp' is no time: a date \(ISO 8601\)"):
        open_scenario_data(str(path), BY_COLUMN, SplitConfig("time"), seed=0)
    data = open_scenario_data(str(path), BY_COLUMN, SplitConfig(), seed=0)
    assert (data.protocol, data.because) == ("strict", "log has 1 interactions without a time")


def test_scenario_of_which_the_moment_leaves_too_little_is_dropped_and_counted():
    table = _campaigns()
    whole = _split(table)
    last = max(whole.meta_train, key=lambda scenario: scenario.name).name
    of_last = table["scenario"] == last
    # Two users took the only two items that anybody had taken before the moment.
    early = pd.DataFrame(
        [(last, user, item, NOON, 1.0) for user in (0, 1) for item in (900, 901)],
        columns=table.columns,
    )
    later = table[of_last].assign(timestamp=_seconds(whole.moment) + 60.0)
    cut = _split(pd.concat([table[~of_last], early, later]), SplitConfig(time=whole.moment))
    assert last not in {scenario.name for scenario in cut.meta_train}
    assert cut.counts["scenarios without support, evaluation or training pairs, dropped"] == 1
    background = _pairs(cut, cut.background_users, cut.background_items)
    assert {(user, item) for user in (0, 1) for item in (900, 901)} <= set(background)
    index_scenarios(cut.meta_train, cut.history_users, cut.history_items)
