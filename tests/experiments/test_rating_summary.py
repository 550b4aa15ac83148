"""Runs of the user setting side by side: means over seeds, the gain's wider interval, the plot."""

import json

import pytest
import yaml

from cmml_tf.experiments.rating_summary import read_rating_runs

GAIN = {"ndcg@3": 0.1, "interval": 0.03, "ndcg@3_interval": 0.03, "swapped": {"mae": 0.9}}


def finished(folder, preset, seed, mae, **tasks):
    folder.mkdir()
    asked = {"split": "warm-warm", "validation_fraction": 0.1 * seed, **tasks}
    config = {"data": "ml-1m", "preset": preset, "seed": seed, "tasks": asked}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    means = {"mae": mae, "ndcg@3": 0.75, "ndcg@1": 0.7}
    metrics = {
        "meta_test": means,
        "baselines": {"global mean": {**means, "mae": 0.95}},
        "context_gain": {**GAIN, "mae": mae - 0.7},
        "support_length": {"0": {**means, "mae": 0.9}, "5": {**means, "mae": mae + 0.04}},
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
    # Two seeds: Student's 12.706 * 0.01414 / sqrt(2) ; of NDCG's gain, which is
    # the same in both, one run's interval over users is wider.
    w, mae = "± 0.0300", "± 0.1271"
    assert runs.table().splitlines() == [
        "| model | seeds | MAE | NDCG@3 | NDCG@1 | context gain, MAE | NDCG@3 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| global mean |  | 0.9500 | 0.7500 | 0.7000 |  |  |",
        f"| cmml-film | 2 | 0.7600 {mae} | 0.7500 | 0.7000 | +0.0600 {mae} | +0.1000 {w} |",
        f"| ridge | 1 | 0.7400 | 0.7500 | 0.7000 | +0.0400 {w} | +0.1000 {w} |",
    ]
    assert runs.curve_table().splitlines()[2:] == [
        "| cmml-film | 0.9000 | 0.8000 | 0.7600 |",
        "| ridge | 0.9000 | 0.7800 | 0.7400 |",
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
