"""The user setting's command: from data to metrics and an exported model, and what it refuses."""

import json

import pytest
import tensorflow as tf


@pytest.mark.parametrize("preset", ["cmml-film", "ridge"])
def test_one_command_trains_evaluates_and_exports(commands, preset):
    arguments = ("--quick", "--preset", preset, "--run-dir", "run")
    done = commands.run("train_user.py", *arguments)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((commands.folder / "run" / "metrics.json").read_text())
    assert metrics["baselines"].keys() == {"global mean", "user mean", "item mean + user bias"}
    assert metrics["meta_test"]["mae"] < metrics["baselines"]["global mean"]["mae"]
    assert [*metrics["support_length"]] == ["0", "1", "2", "5", "10", "20", "40"]
    loaded = tf.saved_model.load(str(commands.folder / metrics["export"]))
    assert "score_features" in loaded.signatures
    if preset == "ridge":
        gain = metrics["context_gain"]["mae"]
        assert gain["gain"] > gain["interval"]
        curve = [means["mae"] for means in metrics["support_length"].values()]
        assert curve == sorted(curve, reverse=True)
        # Finished: the same command trains nothing and finds the same figures, also from the
        # tasks that it has saved.
        again = commands.run("train_user.py", *arguments)
        assert "Resumed behind epoch 2" in again.stdout
        repeated = json.loads((commands.folder / "run" / "metrics.json").read_text())
        assert repeated["meta_test"] == metrics["meta_test"]


def test_wrong_options_are_one_sentence(commands):
    (commands.folder / "wrong.yaml").write_text("tasks: {query: ten}\n")
    (commands.folder / "large.yaml").write_text("tasks: {query: 20}\n")
    results = commands.run_several(
        "train_user.py",
        ["--data", "nowhere"],
        ["--preset", "nothing"],
        ["--config", "wrong.yaml"],
        ["--config", "large.yaml"],
        ["--tasks.lowest", "2"],
        ["--tasks.tasks", "absent.csv"],
    )
    expected = (
        "`data` must be movielens-small",
        "`preset` must be one of cmml-film",
        "`query` in wrong.yaml must be of type int",
        "`min_ratings` must be larger than query",
        "must lie between 2 and 5",
        "There is no task file absent.csv",
    )
    for (status, errors), sentence in zip(results, expected, strict=True):
        assert (status, errors.count("\n")) == (2, 1)
        assert errors.startswith("error: ")
        assert sentence in errors
    assert not (commands.folder / "runs").exists()
