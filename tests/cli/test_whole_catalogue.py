"""`recommend` over a catalogue of many shelves, of which a new one is asked for."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import cmml_tf
from cmml_tf.config import ScenarioConfig
from cmml_tf.serving.export import export_model

SHELVES, EACH, USERS = 10, 24, 80
SCRIPT = Path(__file__).parents[2] / "pipelines" / "whole_catalogue.py"
SHORT = {"curve": {"draws": 1}}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    rng, shelf = np.random.default_rng(0), np.arange(SHELVES * EACH) // EACH
    liked = rng.gamma(1.0, 1.0, len(shelf))
    rows = []
    for number in range(SHELVES):
        items = np.flatnonzero(shelf == number)
        share = liked[items] / liked[items].sum()
        for user in rng.choice(USERS, 60, replace=False):
            for item in rng.choice(items, 6, replace=False, p=share):
                rows.append((f"shelf {number}", f"u{user}", f"i{item:03}"))
    log = pd.DataFrame(rows, columns=["scenario", "user", "item"])
    items = pd.DataFrame({"item": [f"i{n:03}" for n in range(len(shelf))], "shelf": shelf})
    data = cmml_tf.scenario_data(
        log, items=items, kinds={"shelf": "categorical"}, scenario=ScenarioConfig()
    )
    folder = tmp_path_factory.mktemp("shelves") / "run"
    return cmml_tf.fit(data, run_dir=folder, options=SHORT, progress=False), log


def test_a_new_shelf_s_own_items_are_recommended(fitted):
    command = [sys.executable, SCRIPT, fitted[0].folder, "--users", "10"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(answer)["recall@20 by support size"]
    assert {"0", "4", "64"} < found.keys()
    for size in ("4", "16", "64"):
        ours, alone, counted = (found[size][n] for n in ("recommend", "scores alone", "item_pop"))
        assert ours["inside"] > 0.9, size
        assert ours["recall"] >= max(alone["recall"], counted["recall"]), size
        if size != "64":  # where the support names nearly all items of the shelf
            assert ours["inside"] > alone["inside"] + 0.2, size
            assert ours["recall"] > counted["recall"] + 0.1, size


def test_a_program_is_recommended_what_the_export_answers(fitted, tmp_path):
    run, log = fitted
    support = log[log.scenario == "shelf 3"].sample(12, random_state=0)[["user", "item"]]
    support = pd.concat([support, pd.DataFrame({"user": ["new"], "item": ["new item"]})])
    ours = run.recommend(support, user="u1", k=20)
    given = {
        "support_user_id": tf.constant([support.user.tolist()]),
        "support_item_id": tf.constant([support.item.tolist()]),
        "support_label": tf.ones([1, len(support)]),
        "support_length": tf.constant([len(support)]),
        "user_id": tf.constant(["u1"]),
    }
    setting, prepared = run._run.setting, run._run.prepared  # as `run.export`, not evaluated
    made = setting.served(run.model, prepared)
    version = export_model(
        made.model, tmp_path, made.user_ids, made.item_ids, top_k=20, **made.options
    )
    served = tf.saved_model.load(str(version)).signatures["recommend"](**given)
    assert [one.decode() for one in served["item_id"].numpy()[0]] == ours["item"].tolist()
    np.testing.assert_allclose(served["score"].numpy()[0], ours["score"], atol=1e-4)
    # Items that are given are of the scenario: scores alone rank them.
    among = run.recommend(support, user="u1", k=240, among=ours["item"])
    pairs = pd.DataFrame({"user": "u1", "item": among["item"]})
    np.testing.assert_allclose(among["score"], run.score(support, pairs)["score"], atol=1e-5)
    assert (
        among.set_index("item")["score"].reindex(ours["item"]) >= ours["score"].values - 1e-5
    ).all()
