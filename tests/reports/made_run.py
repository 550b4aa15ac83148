"""The folder of a finished run, made up: what reports are tested with, without a training."""

import json

import numpy as np
import pandas as pd
import yaml

METRIC = "recall@10"
CONTROLS = (
    *("twin", "none", "flipped", "item_pop", "dot", "item_pop_dot", "item_knn"),
    *("als_fold_in", "chance", "swapped"),
)
LISTS = ("coverage@10", "popularity@10", "novelty@10")
METRICS = ("recall@10", "ndcg@10", "recall@5", "recall@20", "recall@50", "mrr")


def made_run(folder, names, rng=None, **changes):
    """Writes a run of the scenario setting; `names` are its held-out scenarios."""
    rng = rng or np.random.default_rng(0)
    systems = ("own", *CONTROLS)

    def means():
        return {name: float(rng.uniform(0.1, 0.9)) for name in METRICS}

    own = means()
    metrics = {
        "protocol": "warm",
        "known": {"users": 0.75, "items": 0.5},
        "meta_test": own,
        "meta_test_interval": dict.fromkeys(METRICS, 0.04),
        "controls": {name: means() for name in CONTROLS},
        "controls_interval": {name: dict.fromkeys(METRICS, 0.03) for name in CONTROLS},
        "control_settings": {"item_knn": {"shrinkage": 10.0}},
        "parts": {
            name: {part: means() for part in ("known_users", "unknown_users", "known_items")}
            for name in systems
        },
        "lists": {
            **{name: {one: float(rng.uniform()) for one in LISTS} for name in systems},
            "taken": {"coverage": 0.6, "popularity": 0.2, "novelty": 3.0},
        },
        "curve": {
            size: {name: means() for name in systems} for size in ("0", "1", "4", "16", "all")
        },
        "verdict": {
            "sentence": f"{METRIC} is better by its support sets.",
            "at_chance": False,
            "below": [],
            "differences": {
                name: {"difference": float(rng.normal(0, 0.1)), "interval": 0.05}
                for name in CONTROLS
            },
        },
        "counts": {"interactions read": 12345},
        "episodes_hash": "a" * 64,
        "curve_hash": "b" * 64,
        "export": "export/1",
        "export_cost": {
            "bytes": 9_294_400,
            "load_seconds": 3.2,
            "latency": {"serving_default": {"median_ms": 3.8, "slowest_ms": 23.3}},
        },
        "seconds": {"data": 1.0, "train": 50.0},
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    config = {"data": "some/log.parquet", "preset": "cmml-matching", "seed": 0}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "environment.json").write_text(json.dumps({"versions": {"cmml_tf": "1"}}))
    (folder / "data.json").write_text(json.dumps({"fingerprint": "c" * 64, "setting": "scenario"}))
    tasks = pd.DataFrame({"name": names, "users": rng.integers(5, 200, len(names))})
    tasks["pairs to be found"] = rng.integers(10, 2000, len(names))
    for one in METRICS:
        tasks[one] = rng.uniform(size=len(names))
    for control in CONTROLS:
        tasks[f"{METRIC} of {control}"] = rng.uniform(size=len(names))
    tasks.to_csv(folder / "meta_test_scenarios.csv", index=False)
    for training, last in (("model", 1.2), ("twin", 1.7)):
        (folder / training).mkdir(exist_ok=True)
        lines = [
            {"epoch": n, "loss": last + 1 / n, "gradient_norm": 0.3, "val_recall@20": 0.2 + n / 50}
            for n in range(1, 9)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / training / "metrics.jsonl").write_text(text)
    return metrics
