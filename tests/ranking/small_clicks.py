"""Clicks of two tastes: users take items of one half, now and then of the other."""

import numpy as np
import pandas as pd

from cmml_tf.config.ranking import RankingDataConfig
from cmml_tf.datasets.open_ranking_data import open_ranking_data

USERS, ITEMS = 90, 40

OPTIONS = {
    "model": {"folds": 2, "dropouts": [0.5, 0.9], "shrinkages": [0.0]},
    "episode": {"tasks_per_step": 16},
    "training": {"steps_per_epoch": 60, "max_epochs": 2, "learning_rate": 0.02},
}
"""Of a run that finds these tastes in seconds."""


def clicks(seed=0, users=USERS):
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        weight = np.where(np.arange(ITEMS) % 2 == user % 2, 8.0, 1.0)
        items = rng.choice(ITEMS, 16, replace=False, p=weight / weight.sum())
        rows += [(f"u{user}", int(item)) for item in items]
    return pd.DataFrame(rows, columns=["user", "item"])


def opened(folder, table=None, tasks=None, liked=None, seed=0):
    path = folder / "clicks.csv"
    (clicks() if table is None else table).to_csv(path, index=False)
    config = RankingDataConfig() if tasks is None else RankingDataConfig(tasks=str(tasks))
    return open_ranking_data(str(path), config, liked, seed)
