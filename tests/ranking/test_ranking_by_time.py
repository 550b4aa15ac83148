"""Users by time: all before a moment is known, who begins after it is asked, first clicks first."""

import json

import numpy as np
import pandas as pd
import pytest
from ranking.small_clicks import clicks

import cmml_tf
from cmml_tf.config import SplitConfig
from cmml_tf.config.ranking import RankingDataConfig, RankingEpisodeConfig, RankingRunConfig
from cmml_tf.config.split import UserSplitConfig
from cmml_tf.datasets.open_ranking_data import open_ranking_data
from cmml_tf.episodes.ranking_episodes import RankingEpisodeSampler

DAY = 86_400


def timed(users=90):
    """User k begins on day k and takes an item a day, so users overlap."""
    table = clicks(users=users)
    day = table["user"].str[1:].astype(int) + table.groupby("user").cumcount()
    return table.assign(timestamp=1_700_000_000 + DAY * day).sample(frac=1, random_state=0)


def opened(folder, table=None, split=None, seed=0, **config):
    path = folder / "clicks.csv"
    (timed() if table is None else table).to_csv(path, index=False)
    split = UserSplitConfig("time") if split is None else split
    return open_ranking_data(str(path), RankingDataConfig(**config), None, seed, split=split)


def test_what_is_before_the_moment_is_learned_and_who_begins_later_is_asked(tmp_path):
    data, table = opened(tmp_path), timed()
    moment = table.groupby("user")["timestamp"].min().sort_values().iloc[-18]  # a fifth of them
    before = table[table["timestamp"] < moment]
    learned = {
        (data.user_ids[user], data.item_ids[item])
        for place, user in enumerate(data.learned.user)
        for item in data.learned.of(place)
    }
    assert learned == set(zip(before["user"], before["item"], strict=True))
    asked = set(data.user_ids[data.asked.support.user])
    assert asked == set(table["user"]) - set(before["user"])
    assert data.protocol == "time"
    assert data.moment == pd.Timestamp(moment, unit="s", tz="UTC").isoformat()[:19] + "Z"
    later = (table["timestamp"] >= moment) & ~table["user"].isin(asked)
    label = "rows after the moment, of others than the users who are asked, left out"
    assert data.counts[label] == later.sum()


def test_what_was_taken_first_is_known(tmp_path):
    data, table = opened(tmp_path), timed().sort_values("timestamp")
    for task in range(len(data.asked)):
        own = table["item"][table["user"] == data.user_ids[data.asked.support.user[task]]]
        parts = data.asked.support.of(task), data.asked.query.of(task)
        given = [data.item_ids[item] for part in parts for item in part]
        assert given == [item for item in own if item in set(data.item_ids)]


def test_training_tasks_know_what_was_taken_first_too(tmp_path):
    data = opened(tmp_path)
    folds = np.zeros(len(data.learned), np.int64)
    sampler = RankingEpisodeSampler(data, folds, RankingEpisodeConfig(tasks_per_step=8), 0)
    support = sampler.sample(0).support
    for task, user in enumerate(support.user[:, 0].numpy()):
        own = data.learned.of(data.learned.user.tolist().index(user))
        length = int(support.length[task])
        assert support.item[task, :length].numpy().tolist() == own[:length].tolist()


def test_the_moment_may_be_a_share_of_the_log_or_a_date(tmp_path):
    data = opened(tmp_path, split=UserSplitConfig(time=0.5))
    assert data.protocol == "time"
    share = len(data.learned.item) / len(timed())
    assert 0.49 < share < 0.52  # days are not divided
    date = opened(tmp_path, split=UserSplitConfig("time", "2024-01-10"))
    assert date.moment == "2024-01-10T00:00:00Z"


@pytest.mark.parametrize(
    ("table", "split", "message"),
    [
        (clicks(), UserSplitConfig("time"), "has no times|column of times|timestamp"),
        (None, UserSplitConfig("time", "2030-01-01"), "`time` must be a moment of clicks before"),
        (None, UserSplitConfig("time", "2001-01-01"), "before it are 0 of 1,440 rows"),
    ],
)
def test_a_log_that_cannot_be_divided_is_refused(tmp_path, table, split, message):
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, table, split)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UserSplitConfig("warm"), "`protocol` must be one of auto, strict, time. Received"),
        (lambda: UserSplitConfig("strict", 0.5), "`time` must be none where protocol is strict"),
        (lambda: UserSplitConfig(time="soon"), r"`time` must be a date \(ISO 8601\), seconds"),
        (
            lambda: RankingRunConfig(
                tasks=RankingDataConfig(tasks="t.csv"), split=UserSplitConfig("time")
            ),
            "`tasks.tasks` must be none where users are asked by time",
        ),
    ],
)
def test_what_is_not_accepted_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_names_are_those_of_the_scenario_setting():
    theirs, own = SplitConfig("time", "2024-01-10"), UserSplitConfig("time", "2024-01-10")
    assert (theirs.protocol, theirs.time) == (own.protocol, own.time)


@pytest.mark.slow
def test_a_run_by_time_says_so(tmp_path):
    data = cmml_tf.user_data(timed(), objective="ranking", split=UserSplitConfig("time"))
    small = {
        "model": {"folds": 2, "dropouts": [0.5], "shrinkages": [0.0]},
        "training": {"steps_per_epoch": 5, "max_epochs": 1},
    }
    run = cmml_tf.fit(data, run_dir=tmp_path / "run", options=small, progress=False)
    assert run.evaluate().metrics["protocol"] == "time"
    version = run.export(tmp_path / "export")
    manifest = json.loads((version / "assets.extra" / "cmml_manifest.json").read_text())
    assert manifest["config"]["split"]["protocol"] == "time"
