"""Ratings that have become more: a run continues the one of yesterday."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import cmml_tf
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.datasets.open_rating_data import open_rating_data
from cmml_tf.settings.named import SETTINGS
from cmml_tf.training.history_log import read_history

TASKS = RatingDataConfig(min_ratings=10, query=4)
OPTIONS = {
    "model": {"factor_sizes": [2], "factor_sweeps": 3, "folds": 2},
    "training": {"steps_per_epoch": 10, "max_epochs": 2},
}


def ratings(users, seed=0):
    """Each user likes one half of 30 items."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(users):
        items = rng.choice(30, 16, replace=False)
        values = np.where(items % 2 == user % 2, 4, 2) + rng.integers(-1, 2, 16)
        rows += zip([f"u{user}"] * 16, items, values, strict=True)
    return pd.DataFrame(rows, columns=["user", "item", "value"])


def second_day():
    """Further users, and an item that is new."""
    new = pd.DataFrame({"user": ["u1", "u2", "u61"], "item": [99] * 3, "value": [5, 1, 4]})
    return pd.concat([ratings(80), new])


@pytest.fixture(scope="module")
def two_days(tmp_path_factory):
    folder = tmp_path_factory.mktemp("days")
    days = []
    for table in (ratings(60), second_day()):
        data = cmml_tf.user_data(table, tasks=TASKS)
        given = {"continue_from": days[-1].folder} if days else {}
        run_dir = folder / f"day{len(days)}"
        said = {"run_dir": run_dir, "options": OPTIONS, "progress": False}
        days.append(cmml_tf.fit(data, **said, **given))
    return days


def test_ids_keep_their_rows_and_whom_was_learned_from_is_not_held_out(two_days):
    first, second = (day._run.prepared.data for day in two_days)
    assert second.user_ids[: len(first.user_ids)].tolist() == first.user_ids.tolist()
    assert second.item_ids.tolist() == [*first.item_ids.tolist(), 99]
    learned = {*first.user_ids[first.log.user], *first.user_ids[first.validation.user]}
    held_out = np.concatenate([second.meta_test.user, second.validation.user])
    assert len(second.meta_test)
    assert not learned & {*second.user_ids[held_out]}


def test_a_fortieth_of_the_steps_leaves_a_model_as_good(two_days):
    assert read_history(two_days[1].folder / "model")[-1]["epoch"] == 1  # 1 step of 20
    first, second = (day.evaluate().metrics["meta_test"]["mae"] for day in two_days)
    assert second < first + 0.1
    known = pd.DataFrame({"user": "new", "item": [0, 2, 4, 1], "value": [5, 4, 5, 1]})
    known = known.rename(columns={"value": "label"})
    asked = pd.DataFrame({"user": "new", "item": [6, 7, 99]})
    scored = two_days[1].score(known, asked)
    assert scored["item_known"].all()
    assert scored["score"][0] > scored["score"][1]


def test_an_export_is_continued_as_its_run_is(two_days, tmp_path):
    first, second = two_days
    version = first.export(tmp_path / "export")
    data = cmml_tf.user_data(second_day(), tasks=TASKS)
    said = {"run_dir": tmp_path / "run", "options": OPTIONS, "progress": False}
    again = cmml_tf.fit(data, continue_from=version, **said)
    weights = (made.model.trainable_variables for made in (second, again))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_what_cannot_be_continued_is_said(two_days, tmp_path):
    said = {"progress": False, "continue_from": two_days[0].folder}
    halves = ratings(80).assign(value=lambda table: table["value"] + 0.5 * (table["value"] == 2))
    data = cmml_tf.user_data(halves, tasks=TASKS)
    with pytest.raises(ValueError, match=r"only now: rating 2\.5"):
        cmml_tf.fit(data, run_dir=tmp_path / "halves", options=OPTIONS, **said)
    data = cmml_tf.user_data(ratings(80), tasks=TASKS)
    with pytest.raises(ValueError, match="cannot be continued with other options of preset, model"):
        cmml_tf.fit(data, run_dir=tmp_path / "ridge", preset="ridge", **said)
    setting = SETTINGS["user"]
    learned = setting.form.options.base("ridge", None)
    earlier = setting.state(two_days[0]._run.prepared.data)
    with pytest.raises(
        ValueError, match=r"cmml-ordinal can be continued\. Received: preset='ridge'"
    ):
        setting.open(learned, 0, earlier)


def test_users_of_a_list_must_be_new(two_days, tmp_path):
    (tmp_path / "users.txt").write_text("u70\nu3\n")
    ratings(80).to_csv(tmp_path / "ratings.csv", index=False)
    listed = replace(TASKS, meta_test_users=str(tmp_path / "users.txt"))
    earlier = SETTINGS["user"].state(two_days[0]._run.prepared.data)
    earlier = replace(earlier, tasks=np.array(["u3"], object))
    with pytest.raises(
        ValueError, match=r"must be new to the run .*, which learned from the .* u3"
    ):
        open_rating_data(str(tmp_path / "ratings.csv"), listed, 0, earlier=earlier)
