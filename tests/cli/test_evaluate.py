"""The evaluation command: the saved run's numbers again, from what is in its folder."""

import json
import shutil

import pytest


@pytest.mark.slow
def test_numbers_are_those_of_the_training_command(finished_run, commands):
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


def test_folders_that_hold_no_finished_run_are_named(finished_run, commands):
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
