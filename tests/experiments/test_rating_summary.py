"""Runs of the user setting side by side: means over seeds, the gain's wider interval, the plot."""

import json
import math

import pytest
import yaml

from cmml_tf.experiments.rating_summary import read_rating_runs

GAIN = {"ndcg@3": 0.1, "interval": 0.03, "ndcg@3_interval": 0.03, "over": "twin"}


def finished(folder, preset, seed, mae, **tasks):
    folder.mkdir()
    asked = {"split": "warm-warm", "validation_fraction": 0.1 * seed, **tasks}
    config = {"data": "ml-1m", "preset": preset, "seed": seed, "tasks": asked}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    means = {"mae": mae, "ndcg@3": 0.75, "ndcg@1": 0.7}
    errors = {"own": mae, "twin": 0.8, "none": 0.85, "global_mean": 0.95, "blend": 0.72}
    metrics = {
        "meta_test": means,
        "meta_test_interval": {"mae": 0.03, "ndcg@3": 0.01, "ndcg@1": None},
        "controls": {name: {**means, "mae": error} for name, error in errors.items()},
        "context_gain": {**GAIN, "mae": mae - 0.7},
        "curve": {
            size: {name: {"mae": error + more} for name, error in errors.items()}
            for size, more in (("0", 0.1), ("5", 0.04), ("all", 0.0))
        },
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_each_preset_has_its_mean_and_interval_over_seeds(tmp_path):
    runs = read_rating_runs(
        [
            finished(tmp_path / "a", "cmml-film", 0, 0.75),
            finished(tmp_path / "b", "cmml-film", 1, 0.77),
            finished(tmp_path / "c", "ridge", 0, 0.74),
        ]
    )
    # Two seeds: Student's 12.706 * 0.01414 / sqrt(2), and beside it one run's interval over users.
    over_both = f"± {math.hypot(12.7062 * 0.01, 0.03):.4f}"
    ndcg, gain = "0.7500 ± 0.0100 | 0.7000", "+0.1000 ± 0.0300"
    assert runs.table().splitlines() == [
        "| model | seeds | MAE | NDCG@3 | NDCG@1 | twin, MAE | none, MAE | context gain, MAE "
        "| context gain, NDCG@3 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| global_mean |  | 0.9500 | 0.7500 | 0.7000 |  |  |  |  |",
        "| blend |  | 0.7200 | 0.7500 | 0.7000 |  |  |  |  |",
        f"| cmml-film | 2 | 0.7600 {over_both} | {ndcg} | 0.8000 | 0.8500 "
        f"| +0.0600 {over_both} | {gain} |",
        f"| ridge | 1 | 0.7400 ± 0.0300 | {ndcg} | 0.8000 | 0.8500 | +0.0400 ± 0.0300 | {gain} |",
    ]
    assert runs.curve_table().splitlines() == [
        "| MAE with ratings known | 0 | 5 | all |",
        "| --- | --- | --- | --- |",
        "| global_mean | 1.0500 | 0.9900 | 0.9500 |",
        "| blend | 0.8200 | 0.7600 | 0.7200 |",
        "| cmml-film | 0.8600 | 0.8000 | 0.7600 |",
        "| ridge | 0.8400 | 0.7800 | 0.7400 |",
    ]
    runs.plot_curve(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
    first = finished(tmp_path / "a", "ridge", 0, 0.75)
    other = finished(tmp_path / "b", "ridge", 1, 0.75, split="cold-warm")
    again = finished(tmp_path / "c", "ridge", 0, 0.75)
    with pytest.raises(ValueError, match=r"asked the same\. .*b differs from .*a in: split"):
        read_rating_runs([first, other])
    with pytest.raises(ValueError, match="are the same preset and seed"):
        read_rating_runs([first, again])
    (again / "metrics.json").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"c holds no finished run: it has no metrics\.json"
    ):
        read_rating_runs([again])
