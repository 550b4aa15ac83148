"""The user setting's command: from data to metrics and an exported model, and what it refuses."""

import json
import shutil
import time

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import yaml
from models.every_preset import RATING_PRESETS

from cmml_tf.config.judging import MODEL_CONTROLS, USER_CONTROLS
from cmml_tf.config.rating import UserRunConfig
from cmml_tf.training.run_folder import plain

RIDGE = ("--quick", "--preset", "ridge", "--training.max-epochs", "4", "--run-dir", "run")


SECONDS = {"data", "train", "train_twin", "evaluate", "export", "total"}


def read(folder):
    return json.loads((folder / "run" / "metrics.json").read_text())


def mae_by_length(metrics):
    return [systems["own"]["mae"] for systems in metrics["curve"].values()]


@pytest.fixture(scope="module")
def ridge(tmp_path_factory, commands_in):
    """A quick run that nothing has interrupted: its commands and what it printed."""
    commands = commands_in(tmp_path_factory.mktemp("ridge"))
    done = commands.run_here("train_user.py", *RIDGE)
    assert done.returncode == 0, done.stderr
    return commands, done.stdout


def test_one_command_trains_evaluates_and_exports(ridge):
    commands, output = ridge
    metrics = read(commands.folder)
    controls = metrics["controls"]
    assert controls.keys() == {*MODEL_CONTROLS, *USER_CONTROLS}
    assert metrics["meta_test"]["mae"] < controls["global_mean"]["mae"]
    assert controls["blend"]["mae"] < controls["item_mean"]["mae"] < controls["user_mean"]["mae"]
    assert metrics["control_settings"].keys() == {"item_knn", "als_fold_in", "blend"}
    assert metrics["known"]["users"] == 0
    assert metrics["protocol"] == "strict"
    assert metrics["counts"]["ratings read"] > 0
    for what, count in metrics["counts"].items():
        assert f"  {what}: {count:,}" in output
    gain = metrics["context_gain"]
    assert f"Verdict: {metrics['verdict']['sentence']}" in output
    assert f"{gain['mae']:+.4f} ± {gain['interval']:.4f} beside" in output
    assert gain["mae"] > gain["interval"]
    better = min(controls[name]["mae"] for name in ("twin", "none"))
    assert gain["mae"] == pytest.approx(better - metrics["meta_test"]["mae"])
    assert gain.keys() >= {"over", "ndcg@3", "ndcg@3_interval", "ndcg@3_over"}
    assert f"Evaluation episodes: {metrics['episodes_hash']}" in output
    assert metrics["seconds"].keys() == SECONDS
    assert metrics["lists"] == {}
    report = (commands.folder / "run" / "report.html").read_text()
    assert metrics["verdict"]["sentence"] in report
    assert "By known ratings" in report
    loaded = tf.saved_model.load(str(commands.folder / metrics["export"]))
    assert "score_features" in loaded.signatures


def test_the_more_ratings_are_known_the_better(ridge):
    metrics = read(ridge[0].folder)
    assert [*metrics["curve"]] == ["0", "1", "2", "5", "10", "20", "40", "all"]
    curve = mae_by_length(metrics)
    assert curve == sorted(curve, reverse=True)
    assert curve[0] < metrics["controls"]["global_mean"]["mae"]
    for systems in metrics["curve"].values():
        assert systems.keys() == {"own", *metrics["controls"]}
        assert systems["own"]["unknown_users"]["mae"] == systems["own"]["mae"]


def test_the_default_is_ordinal():
    preset, ours = RATING_PRESETS["cmml-ordinal"], UserRunConfig()
    assert (ours.model, ours.episode, ours.training) == (
        preset.model,
        preset.episode,
        preset.training,
    )


@pytest.mark.slow
def test_the_default_reads_few_ratings_too(commands):
    done = commands.run("train_user.py", "--quick", "--run-dir", "run")
    assert done.returncode == 0, done.stderr
    assert "item features: id (id, " in done.stdout
    metrics = read(commands.folder)
    assert np.isfinite(mae_by_length(metrics)).all()
    assert metrics["curve"]["40"]["own"]["mae"] < metrics["curve"]["0"]["own"]["mae"]
    config = yaml.safe_load((commands.folder / "run" / "config.yaml").read_text())
    assert config["model"]["kind"] == "ordinal"
    assert config["episode"] == plain(RATING_PRESETS[config["preset"]].episode)
    own = metrics["meta_test"]
    assert own["mae_rounded"] < metrics["controls"]["global_mean"]["mae_rounded"]
    assert own["mae_median"] < own["mae"]
    assert own["covered"] > 0.7
    signature = tf.saved_model.load(str(commands.folder / metrics["export"])).signatures
    assert {"score", "score_median", "score_low", "score_high"} < set(
        signature["serving_default"].structured_outputs
    )


@pytest.mark.slow
def test_a_killed_training_continues_and_ends_as_if_never_killed(ridge, commands):
    process = commands.start("train_user.py", *RIDGE)
    history = commands.folder / "run" / "model" / "metrics.jsonl"
    while not history.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (commands.folder / "run" / "metrics.json").exists()
    assert not (commands.folder / "export-user").exists()

    done = commands.run("train_user.py", *RIDGE)
    assert done.returncode == 0, done.stderr
    assert any(f"Resumed behind epoch {epoch}." in done.stdout for epoch in (1, 2, 3))
    ours, theirs = read(commands.folder), read(ridge[0].folder)
    for part in ("meta_test", "controls", "curve", "context_gain", "verdict", "episodes_hash"):
        assert ours[part] == theirs[part], part
    assert [json.loads(line)["epoch"] for line in history.read_text().splitlines()] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_finished_run_is_exported_once_more_only_elsewhere(ridge):
    commands, _ = ridge
    again = commands.run("train_user.py", *RIDGE)
    assert again.returncode == 0, again.stderr
    assert "Exported before, nothing written: export-user/candidates/1" in again.stdout.splitlines()
    assert "WARNING:tensorflow" not in again.stderr
    assert [path.name for path in (commands.folder / "export-user" / "candidates").iterdir()] == [
        "1"
    ]
    done = commands.run("export.py", "run", "--export-dir", "elsewhere")
    assert done.stdout.splitlines()[-1] == "Exported: elsewhere/candidates/1", done.stderr
    assert read(commands.folder)["export"] == "elsewhere/candidates/1"


@pytest.mark.slow
def test_a_finished_run_is_evaluated_again(ridge, commands):
    run_dir = commands.folder / "moved"
    shutil.copytree(ridge[0].folder / "run", run_dir)
    (run_dir / "meta_test_users.csv").unlink()
    done = commands.run("evaluate.py", "moved")
    assert done.returncode == 0, done.stderr
    again, metrics = json.loads((run_dir / "evaluation.json").read_text()), read(ridge[0].folder)
    for part in ("meta_test", "controls", "curve", "context_gain", "verdict", "episodes_hash"):
        assert again[part] == metrics[part], part
    table = pd.read_csv(run_dir / "meta_test_users.csv")
    assert table["mae"].mean() == pytest.approx(metrics["meta_test"]["mae"])
    tasks = pd.read_csv(run_dir / "meta_test_tasks.csv", dtype=str)
    assert set(table["name"].astype(str)) == set(tasks["user"])


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
        ["--schedule", "fast"],
    )
    expected = (
        "`data` must be movielens-small",
        "`preset` must be one of cmml-ordinal",
        "`query` in wrong.yaml must be of type int",
        "`min_ratings` must be larger than query",
        "must lie between 2 and 5",
        "There is no task file absent.csv",
        "`schedule` must be one of default, paper",
    )
    for (status, errors), sentence in zip(results, expected, strict=True):
        assert (status, errors.count("\n")) == (2, 1)
        assert errors.startswith("error: ")
        assert sentence in errors
    assert not (commands.folder / "runs").exists()
