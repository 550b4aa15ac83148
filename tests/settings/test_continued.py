"""A log day by day: each day's run continues yesterday's, beside one trained from nothing."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from cmml_tf.config import override
from cmml_tf.config.rating import UserRunConfig
from cmml_tf.settings.continued import steps_behind
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.run import open_run
from cmml_tf.settings.run_end import save_metrics
from cmml_tf.training.run_folder import MODEL

SETTING = SETTINGS["scenario"]
CAMPAIGNS, DAY, ITEMS = 24, 86_400, 120


def shop(seed=0, clicks=150):
    """A campaign begins each day and lasts two; users have tastes, some come later than others."""
    rng = np.random.default_rng(seed)
    users, items = rng.normal(size=(260, 3)), rng.normal(size=(ITEMS, 3))
    rows = []
    for campaign in range(CAMPAIGNS):
        shown = rng.choice(40 + 3 * campaign, 15, replace=False)
        direction = rng.normal(size=3)
        user = rng.integers(120 + 5 * campaign, size=clicks)
        taste = users[user] @ items[shown].T + items[shown] @ direction
        chance = np.exp(1.5 * taste)
        share = chance.cumsum(1) / chance.sum(1, keepdims=True)
        item = shown[(share > rng.random((clicks, 1))).argmax(1)]
        time = DAY * (campaign + np.sort(rng.uniform(0, 2, clicks)))
        rows += zip(user, item, [f"c{campaign:02d}"] * clicks, time, strict=True)
    return pd.DataFrame(rows, columns=["user", "item", "scenario", "timestamp"])


@dataclasses.dataclass
class Day:
    """A trained run of a day."""

    run: object
    model: object

    @property
    def recall(self):
        asked = self.run.prepared.meta_test
        return SETTING.evaluate(SETTING.scorer(self.model), asked).means()["recall@10"]

    @property
    def steps(self):
        rows = (self.run.folder.path / "model" / "metrics.jsonl").read_text().splitlines()
        return len(rows) * self.run.training.steps_per_epoch


def days(folder, first, last, steps, every=1):
    """Runs that continue one another, and some from nothing, of the log as it was each day.

    What is asked begins behind the last day.
    """
    log = shop()
    starts = log.groupby("scenario")["timestamp"].transform("min")
    base = override(
        SETTING.form.options.base(None, None),
        {
            "scenario": {"min_items": 5, "min_interactions": 50},
            "training": {"steps_per_epoch": steps, "max_epochs": 1},
            "curve": {"draws": 1},
        },
    )
    yesterday, found = None, []
    for day in range(first, last + 1):
        data = folder / f"day-{day}.parquet"
        log[(log["timestamp"] < day * DAY) | (starts >= last * DAY)].to_parquet(data)
        split = dataclasses.replace(base.split, protocol="time", time=str(day * DAY))
        config = dataclasses.replace(base, data=str(data), split=split)
        today = fresh = None
        if yesterday is not None:
            start = str(yesterday.run.folder.path)
            run_dir = str(folder / f"continued-{day}")
            today = train(dataclasses.replace(config, run_dir=run_dir, continue_from=start))
        if yesterday is None or (day - first) % every == 0:
            fresh = train(dataclasses.replace(config, run_dir=str(folder / f"nothing-{day}")))
        found.append((fresh, today))
        yesterday = today or fresh
    return found


def train(config):
    """A run without its twin, which is marked as finished."""
    run = open_run(SETTING, config, lambda line: None)
    model = run.train(MODEL, tf.distribute.get_strategy(), None, 0, lambda line: None).model
    save_metrics(run.folder.path, {})
    return Day(run, model)


def check(found, tolerance):
    """What holds of each day."""
    (before, _), *later = found
    steps = found[0][0].steps
    for fresh, today in later:
        assert today.steps <= steps // 20
        for side in ("user", "item"):
            ids, known = (getattr(one.run.prepared.data, f"{side}_ids") for one in (today, before))
            assert ids[: len(known)].tolist() == known.tolist()
            rows, earlier = (
                getattr(one.run.prepared.matching.rows, side)[: len(known)]
                for one in (today, before)
            )
            factors = slice(0, today.run.prepared.matching.dimension)
            both = rows[:, factors], earlier[:, factors]
            product = np.sum(both[0] * both[1])
            assert product > 0.9 * np.linalg.norm(both[0]) * np.linalg.norm(both[1])
        if fresh is not None:
            assert today.run.prepared.data.fingerprint() != fresh.run.prepared.data.fingerprint()
            assert today.recall > fresh.recall - tolerance
        before = today


@pytest.fixture(scope="module")
def two_days(tmp_path_factory):
    folder = tmp_path_factory.mktemp("days")
    return days(folder, 17, 18, steps=40, every=2), folder


def test_a_continued_day_keeps_rows_in_a_fortieth_of_the_steps_and_needs_no_earlier_run(two_days):
    found, _ = two_days
    check(found, tolerance=0.03)
    (first, _), (_, today) = found
    # The same campaigns are asked, of which neither day has seen any.
    assert today.recall > first.recall - 0.03
    data = today.run.prepared.data
    new = np.setdiff1d(data.item_ids[data.training_pairs()[1]], first.run.prepared.data.item_ids)
    assert len(data.user_ids) > len(first.run.prepared.data.user_ids) or len(new)
    # The earlier run may be gone: all that is needed has been copied.
    weights = [one.numpy() for one in today.model.trainable_variables]
    gone = first.run.folder.path.with_name("gone")
    first.run.folder.path.rename(gone)
    try:
        again = open_run(SETTING, today.run.config, lambda line: None).trained(MODEL)
    finally:
        gone.rename(first.run.folder.path)
    for one, other in zip(again.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)


def test_a_day_goes_on_behind_the_tasks_of_the_day_before(two_days, tmp_path):
    (first, _), (_, today) = two_days[0]
    folder = today.run.folder.path
    assert steps_behind(first.run.folder.path) == 0
    assert steps_behind(folder) == first.steps
    assert json.loads((folder / "steps.json").read_text()) == {"steps": first.steps + today.steps}
    shutil.copytree(folder / "continued", tmp_path / "continued")
    (tmp_path / "continued" / "steps.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"steps\.json is missing or damaged, so the run cannot be"
    ):
        steps_behind(tmp_path)


def test_what_cannot_be_continued_is_said(two_days, tmp_path):
    found, folder = two_days
    config = dataclasses.replace(found[1][1].run.config, run_dir=str(tmp_path / "run"))

    def refused(match, setting=SETTING, **changes):
        with pytest.raises((ValueError, FileNotFoundError), match=match):
            open_run(setting, override(config, changes), lambda line: None)
        assert not (tmp_path / "run").exists()

    refused("is not the folder of a run", continue_from=str(tmp_path))
    refused("with other options of factors", factors={"dimension": 4})
    refused("with other options of scenario", scenario={"min_items": 6})
    refused("must be new to the run that is continued", split={"time": str(10 * DAY)})
    items = tmp_path / "items.csv"
    pd.DataFrame({"item": range(ITEMS), "price": 1.5}).to_csv(items, index=False)
    refused(r"Only then: none; only now: item price \(numeric\)", items=str(items))
    shutil.copytree(folder / "nothing-17", tmp_path / "other")
    record = tmp_path / "other" / "data.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "setting": "user"}))
    refused("is of the setting user, and cannot", continue_from=str(tmp_path / "other"))
    (tmp_path / "other" / "metrics.json").unlink()
    record.write_text((folder / "nothing-17" / "data.json").read_text())
    refused("is not finished", continue_from=str(tmp_path / "other"))


def test_a_setting_without_further_data_says_so(tmp_path):
    class Given(type(SETTINGS["user"])):
        continues = False

    config = UserRunConfig(continue_from=str(tmp_path))
    with pytest.raises(ValueError, match="must be none: a run of the setting user cannot be"):
        open_run(Given(), config, print)


@pytest.mark.slow
def test_fourteen_days_stay_as_good_as_from_nothing(tmp_path):
    found = days(tmp_path, 6, 20, steps=200, every=2)
    check(found, tolerance=0.03)
    differences = [today.recall - fresh.recall for fresh, today in found if fresh and today]
    assert np.mean(differences) > -0.01
