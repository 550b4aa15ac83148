"""The training command: what it writes and refuses, and the evaluation of what it wrote."""

import csv
import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import yaml
from cli.conftest import QUICK

from cmml_tf.commands.main import load
from cmml_tf.config.judging import MODEL_CONTROLS, SCENARIO_CONTROLS

CUTOFFS = (1, 3, 5, 10, 20, 50, 100)
METRICS = {f"{name}@{k}" for name in ("recall", "ndcg") for k in CUTOFFS} | {"mrr"}


def _read(run_dir, name="metrics.json"):
    return json.loads((run_dir / name).read_text())


def test_metrics_file_has_the_contracted_form(finished_run):
    metrics = _read(finished_run.run_dir)
    assert {"recall@10", "recall@20", "ndcg@10"} <= METRICS
    controls, gain = metrics["controls"], metrics["context_gain"]
    for means in (metrics["meta_test"], *controls.values()):
        assert means.keys() == METRICS
        assert all(0 < value <= 1 for value in means.values())
    assert controls.keys() == {*MODEL_CONTROLS, *SCENARIO_CONTROLS}
    assert gain.keys() == {"recall@10", "interval", "over"}
    better = max(("twin", "none"), key=lambda name: controls[name]["recall@10"])
    assert gain["over"] == better
    difference = metrics["meta_test"]["recall@10"] - controls[better]["recall@10"]
    assert gain["recall@10"] == pytest.approx(difference)
    assert math.isfinite(gain["interval"])
    assert metrics["protocol"] in ("strict", "warm", "time")
    assert metrics["known"].keys() == {"users", "items"}
    assert len(metrics["episodes_hash"]) == len(metrics["curve_hash"]) == 64
    curve = metrics["curve"]
    assert list(curve) == ["0", "1", "2", "4", "8", "16", "64", "256", "all"]
    for systems in curve.values():
        assert systems.keys() == {"own", *controls}
    assert curve["0"]["own"] == curve["0"]["none"] == curve["all"]["none"]
    assert "known_users" in curve["16"]["item_pop"]
    verdict = metrics["verdict"]
    assert verdict["differences"].keys() == controls.keys()
    assert set(verdict["below"]) | set(verdict["better_than"]) <= controls.keys()
    parts = metrics["seconds"]
    assert {"train", "total"} <= parts.keys()
    assert parts["total"] == pytest.approx(sum(parts.values()) - parts["total"], abs=0.1)
    # Even a short training ranks better than chance, popularity too.
    assert metrics["meta_test"]["recall@20"] > 0.6
    assert controls["item_pop"]["recall@20"] > 0.5


def test_table_is_printed_with_the_same_numbers(finished_run):
    metrics = _read(finished_run.run_dir)
    for label, means in (
        ("pe ", metrics["meta_test"]),
        ("twin: ", metrics["controls"]["twin"]),
        ("ItemPop ", metrics["controls"]["item_pop"]),
        ("swapped: ", metrics["controls"]["swapped"]),
    ):
        lines = [line for line in finished_run.output.splitlines() if line.startswith(label)]
        assert f"{means['recall@10']:.4f}" in lines[0]
    assert metrics["episodes_hash"] in finished_run.output
    sentence = metrics["verdict"]["sentence"]
    assert f"Verdict: {sentence}" in finished_run.output.splitlines()
    # A short training is below ItemPop or a fold-in, and the last lines say so.
    assert metrics["verdict"]["below"]
    assert f"warning: {sentence}" in finished_run.output.splitlines()[-4:]
    assert "Exported: export/candidates/1" in finished_run.output


def test_run_folder_says_what_was_done_with_what(finished_run):
    run_dir = finished_run.run_dir
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    assert config["preset"] == "pe"
    assert config["model"]["encoder_units"] == 32
    assert config["training"]["max_epochs"] == 5
    environment = _read(run_dir, "environment.json")
    assert environment["versions"]["tensorflow"] == tf.__version__
    for name in ("model", "twin"):
        lines = (run_dir / name / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5]
        assert all("val_recall@20" in json.loads(line) for line in lines)
        with (run_dir / name / "history.csv").open() as file:
            assert len(list(csv.DictReader(file))) == 5
        assert list((run_dir / name / "tensorboard").rglob("events.out.tfevents.*"))
    table = pd.read_csv(run_dir / "meta_test_scenarios.csv")
    mean = np.average(table["recall@10"], weights=table["users"])
    assert mean == pytest.approx(_read(run_dir)["meta_test"]["recall@10"])


def test_the_report_says_what_metrics_say_and_is_written_again(finished_run, tmp_path, capsys):
    metrics, file = _read(finished_run.run_dir), finished_run.run_dir / "report.html"
    text = file.read_text()
    assert "Report: run/report.html" in finished_run.output.splitlines()
    for number in (metrics["meta_test"]["recall@10"], metrics["lists"]["own"]["coverage@10"]):
        assert f"{number:.4f}" in text
    systems = {"own", *metrics["controls"]}
    assert metrics["lists"].keys() == {*systems, "taken"}
    assert metrics["lists"]["chance"]["coverage@10"] > metrics["lists"]["item_pop"]["coverage@10"]
    assert metrics["controls_interval"].keys() == set(metrics["controls"])
    assert metrics["export_cost"]["bytes"] > 1e5
    shutil.copytree(finished_run.run_dir, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    assert load("report")([str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out == f"Report: {tmp_path / 'run' / 'report.html'}\n"
    assert (tmp_path / "run" / "report.html").read_text() == text


def test_tensorboard_shows_gradients_and_the_curve_by_support_size(finished_run):
    def scalars(folder):
        (file,) = folder.glob("events.out.tfevents.*")
        found = {}
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                number = float(tf.make_ndarray(value.tensor))
                found.setdefault(value.tag, {})[event.step] = number
        return found

    run = finished_run.run_dir
    trained = scalars(run / "model" / "tensorboard" / "train")
    assert len(trained["epoch_gradient_norm"]) == 5
    assert all(norm > 0 for norm in trained["epoch_gradient_norm"].values())
    assert len(scalars(run / "model" / "tensorboard" / "validation")["epoch_recall@20"]) == 5
    metrics = _read(run)
    shown = scalars(run / "tensorboard" / "own")["recall@10 by support size"]
    assert shown[4] == pytest.approx(metrics["curve"]["4"]["own"]["recall@10"])
    assert len(shown) == len(metrics["curve"])


def test_exported_model_can_be_loaded(finished_run):
    version = finished_run.export_dir / "1"
    loaded = tf.saved_model.load(str(version))
    assert {"serving_default", "encode_context", "score_with_context"} <= {*loaded.signatures}
    (file,) = version.rglob("cmml_manifest.json")
    manifest, metrics = json.loads(file.read_text()), _read(finished_run.run_dir)
    assert manifest["meta_test"] == metrics["meta_test"]
    assert manifest["episodes_hash"] == metrics["episodes_hash"]
    assert manifest["scores"] == metrics["scores"]
    assert manifest["scores"]["quantiles"] == sorted(manifest["scores"]["quantiles"])


@pytest.mark.slow
def test_what_is_not_as_good_as_required_is_not_exported(finished_run, commands):
    shutil.copytree(finished_run.run_dir, commands.folder / "run")
    command = ("train_scenario.py", *QUICK, "--run-dir", "run", "--export-dir", "new")
    done = commands.run(*command, "--require", "better-than=chance,als-fold-in,twin")
    assert done.returncode == 3
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Nothing is exported: the model is required to be better than chance, als" in sentence
    assert not (commands.folder / "new").exists()
    # The run is complete: its metrics are there, and it is exported without the requirement.
    metrics = _read(commands.folder / "run")
    assert f"Verdict: {metrics['verdict']['sentence']}" in done.stdout.splitlines()
    refused = commands.run("export.py", "run")
    assert refused.returncode == 3
    assert not (commands.folder / "new").exists()


def _write_table(path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "scenario": np.repeat([f"theme {n}" for n in range(8)], 400),
            "user": [f"u{n}" for n in rng.integers(0, 60, 3200)],
            "item": rng.integers(0, 40, 3200),
        }
    )
    frame.to_csv(path, index=False)


# A table of one's own with a limit, from the program: tests/test_readme.
@pytest.mark.slow
def test_own_table_with_a_time_limit_on_the_training(commands):
    _write_table(commands.folder / "log.csv")
    done = commands.run_here(
        "train_scenario.py",
        *("--data", "log.csv", "--preset", "pe", "--scenario.min-interactions", "100"),
        *("--episode.tasks-per-step", "4", "--training.max-epochs", "100000"),
        *("--training.early-stopping-patience", "100000", "--max-minutes", "0.01"),
        *("--curve.draws", "1"),
        *("--run-dir", "run", "--export-dir", "models"),
    )
    assert done.returncode == 0, done.stderr
    assert "meta-train scenarios: 5" in done.stdout
    assert _read(commands.folder / "run")["meta_test"].keys() == METRICS
    assert (commands.folder / "models" / "1" / "saved_model.pb").exists()
    ids = (commands.folder / "models" / "1" / "assets" / "user_ids.txt").read_text().split()
    assert {"u0", "u59"} <= set(ids)


def test_what_cannot_be_done_is_one_sentence_and_nothing_is_written(finished_run, commands):
    folder = commands.folder
    truncated = folder / "truncated"
    truncated.mkdir()
    (truncated / "movies.csv").write_text("movieId,title,genres\n1,A (1990),Drama\n")
    (truncated / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4.0,9\n2,1,3")
    _write_table(folder / "log.csv")
    (folder / "taken").write_text("a file")
    before = sorted(path.name for path in folder.iterdir())
    table = ("--data", "log.csv", "--scenario.min-interactions", "100")
    cases = {
        ("--data", "nowhere/ml-1m"): "Received: data='nowhere/ml-1m', which is no name",
        ("--data", "truncated"): "ratings.csv",
        (*table, "--scenario.definition", "column:theme"): "theme",
        (*table, "--split.meta-test-fraction", "0.9"): "Lower min_items or min_interactions",
        ("--preset", "cmml"): "`preset` must be one of cmml-matching,",
        ("--config", "missing.yaml"): "There is no options file missing.yaml",
        (*QUICK, "--seed", "1", "--run-dir", str(finished_run.run_dir)): "(different: seed)",
        (*QUICK, "--run-dir", "taken"): "taken",
        (*table, "--schedule", "fast"): "`schedule` must be one of default,",
    }
    results = commands.run_several("train_scenario.py", *cases)
    for (arguments, message), (status, errors) in zip(cases.items(), results, strict=True):
        assert status == 2, arguments
        assert message in errors, arguments
        (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert errors.endswith(f"{sentence}\n")
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.slow
def test_an_evaluation_s_numbers_are_those_of_the_training_command(finished_run, commands):
    run_dir = commands.folder / "moved"
    shutil.copytree(finished_run.run_dir, run_dir)
    (run_dir / "meta_test_scenarios.csv").unlink()
    done = commands.run("evaluate.py", "moved")
    assert done.returncode == 0, done.stderr
    again = json.loads((run_dir / "evaluation.json").read_text())
    metrics = json.loads((run_dir / "metrics.json").read_text())
    for part in ("meta_test", "controls", "curve", "context_gain", "verdict", "episodes_hash"):
        assert again[part] == metrics[part], part
    assert f"{metrics['meta_test']['recall@10']:.4f}" in done.stdout
    table = (finished_run.run_dir / "meta_test_scenarios.csv").read_text()
    assert (run_dir / "meta_test_scenarios.csv").read_text() == table


def test_folders_that_hold_no_finished_run_are_not_evaluated(finished_run, commands):
    (commands.folder / "empty").mkdir()
    untrained = commands.folder / "untrained"
    damaged = commands.folder / "damaged"
    shutil.copytree(finished_run.run_dir, damaged)
    episodes = (damaged / "meta_test.npz").read_bytes()
    (damaged / "meta_test.npz").write_bytes(episodes[: len(episodes) // 2])
    shutil.copytree(finished_run.run_dir, untrained)
    shutil.rmtree(untrained / "model")
    results = commands.run_several(
        "evaluate.py", ["nowhere"], ["empty"], ["untrained"], ["damaged"]
    )
    expected = (
        "nowhere is not the folder of a run",
        "empty is not the folder of a run",
        "no epoch has been completed",
        "meta_test.npz is not a file of evaluation episodes",
    )
    for (status, errors), message in zip(results, expected, strict=True):
        assert status == 2
        assert message in errors
        assert errors.startswith("error: ")
    assert not (commands.folder / "nowhere").exists()
    assert list((commands.folder / "empty").iterdir()) == []
    assert not (untrained / "evaluation.json").exists()
