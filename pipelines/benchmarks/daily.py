"""A log day by day: each day's model continues yesterday's, or is trained from nothing.

A day's log holds what was before its end, and the scenarios that begin behind the last day, which
are what every day is asked (protocol `time`).
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from cmml_tf.config import ScenarioRunConfig, override
from cmml_tf.evaluation.scorer import ModelScorer, Scorer
from cmml_tf.evaluation.statistics import mean_interval, mean_over_runs
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.run import SettingRun, open_run
from cmml_tf.settings.run_end import save_metrics
from cmml_tf.settings.scenario.form import SCENARIO
from cmml_tf.training.run_folder import MODEL
from cmml_tf.types import Support

_SETTING = SETTINGS["scenario"]
_METRIC = "recall@10"


def measure(
    log: str,
    items: str | None,
    users: str | None,
    preset: str | None,
    days: int,
    every: int,
    hold_back: float,
    leave_out: int,
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Quality, CPU seconds from the log to the trained model, and drift, of each day.

    Args:
      log: A table with user, item, scenario and timestamp (seconds).
      items, users: Tables of features; None: none.
      preset: Of the model; None: the default.
      days: Days behind the first training.
      every: Days from one training from nothing to the next; the last day has one, too.
      hold_back: Share of the scenarios, the last to begin, that every day is asked.
      leave_out: Scenarios, the last to begin, that are as if they had never been: others are asked.
      seeds: Each is a chain of continued days, and trainings from nothing beside it.
    """
    table = pd.read_parquet(log)
    starts = table.dropna(subset="scenario").groupby("scenario")["timestamp"].min().sort_values()
    starts, later = starts[: len(starts) - leave_out], starts.index[len(starts) - leave_out :]
    table = table[~table["scenario"].isin(later)]
    asked = starts.index[-max(1, round(hold_back * len(starts))) :]
    end = starts[asked].min()
    is_asked = table["scenario"].isin(asked)
    base = SCENARIO.options.base(preset, None)
    base = override(base, {"items": items, "users": users, "curve": {"draws": 1}})
    chains: list[dict[str, Any]] = []
    differences = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        configs = []
        for day in range(days + 1):
            moment = end - (days - day) * 86_400
            data = folder / f"day-{day}.parquet"
            table[is_asked | (table["timestamp"] < moment)].to_parquet(data)
            split = replace(base.split, protocol="time", time=str(moment))
            configs.append(replace(base, data=str(data), split=split))
        for seed in seeds:
            own = folder / str(seed)
            rows, both = _chain([replace(one, seed=seed) for one in configs], every, own)
            chains.append({"seed": seed, "days": rows})
            differences.append(both.assign(seed=seed))
            shutil.rmtree(own)
    return {
        "asked_scenarios": len(asked),
        "preset": base.preset,
        "seeds": chains,
        **_summary([row for chain in chains for row in chain["days"]], pd.concat(differences)),
    }


def _chain(
    configs: Sequence[ScenarioRunConfig], every: int, folder: Path
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """What each day reached, and continued less from nothing by asked scenario."""
    yesterday: _Trained | None = None
    rows, differences = [], []
    for day, config in enumerate(configs):
        row: dict[str, Any] = {"day": day}
        if yesterday is not None:
            start = str(yesterday.run.folder.path)
            run_dir = str(folder / f"continued-{day}")
            today = _trained(replace(config, run_dir=run_dir, continue_from=start))
            row |= {"continued": today.figures(), "drift": _drift(yesterday.model, today)}
            yesterday = today
        if day % every == 0 or day == len(configs) - 1:
            fresh = _trained(replace(config, run_dir=str(folder / f"nothing-{day}")))
            row["from_nothing"] = fresh.figures()
            if yesterday is not None:
                difference = yesterday.by_scenario[_METRIC] - fresh.by_scenario[_METRIC]
                row["difference_by_scenario"] = difference.to_dict()
                users = fresh.by_scenario["users"]
                differences.append(
                    pd.DataFrame({"day": day, "difference": difference, "users": users})
                )
            yesterday = yesterday or fresh
        print(json.dumps({"seed": config.seed, **row}), file=sys.stderr, flush=True)
        rows.append(row)
    return rows, pd.concat(differences)


class _Trained:
    """A trained run with what it cost and reached."""

    def __init__(self, run: SettingRun, model: AdaptingModel, seconds: float) -> None:
        self.run, self.model, self.seconds = run, model, seconds
        self.scorer = _SETTING.scorer(model)
        metrics = self.asked(self.scorer)
        self.recall, self.by_scenario = metrics.means()[_METRIC], metrics.table().set_index("name")
        save_metrics(run.folder.path, {"meta_test": {_METRIC: self.recall}})

    def asked(self, scorer: Scorer) -> TaskMetrics:
        """Metrics of the tasks."""
        return _SETTING.evaluate(scorer, self.run.prepared.meta_test)

    def figures(self) -> dict[str, float]:
        return {_METRIC: self.recall, "cpu_seconds": self.seconds}


def _trained(config: ScenarioRunConfig) -> _Trained:
    begin = time.process_time()
    run = open_run(_SETTING, config, lambda line: None)
    model = run.train(MODEL, tf.distribute.get_strategy(), None, 0, lambda line: None).model
    return _Trained(run, model, time.process_time() - begin)


class _Cached(ModelScorer):
    """Scores with contexts that another model has made."""

    def __init__(self, model: AdaptingModel, contexts_of: AdaptingModel) -> None:
        super().__init__(model, tasks=1)
        self._earlier = ModelScorer(contexts_of, tasks=1)

    def adapt(self, support: Support) -> Any:
        return self._earlier.adapt(support)


def _drift(before: AdaptingModel, now: _Trained) -> dict[str, float]:
    """How far a day moves what is kept of yesterday.

    `recall@10_with_yesterdays_contexts`: of today's model when it is given them. `score`: the
    mean distance between yesterday's and today's scores of the same pairs, over today's deviation.
    """
    scores = []
    yesterday = _SETTING.scorer(before)
    for task in now.run.prepared.meta_test:
        users = np.full((1, len(task.candidates)), task.users[0])
        old, new = (
            scorer.score(scorer.adapt(task.support), users, task.candidates[None])
            for scorer in (yesterday, now.scorer)
        )
        scores.append(np.abs(old - new).mean() / new.std())
    with_yesterdays = now.asked(_Cached(now.model, before)).means()[_METRIC]
    return {
        f"{_METRIC}_with_yesterdays_contexts": with_yesterdays,
        "score": float(np.mean(scores)),
    }


def _summary(rows: list[dict[str, Any]], differences: pd.DataFrame) -> dict[str, Any]:
    """Over seeds: each day's difference with its intervals, and what a day costs."""
    cost = {
        kind: float(np.mean([row[kind]["cpu_seconds"] for row in rows if kind in row]))
        for kind in ("continued", "from_nothing")
    }
    return {
        "differences": {
            **{str(day): _difference(of_day) for day, of_day in differences.groupby("day")},
            "all": _difference(differences),
        },
        "cpu_seconds": cost,
        "share_of_the_cost": cost["continued"] / cost["from_nothing"],
    }


def _difference(differences: pd.DataFrame) -> dict[str, float | None]:
    """The mean, and half of its 95% interval over seeds, and over seeds and scenarios.

    None: there is one only.
    """
    weighted = differences["difference"] * differences["users"]
    by_seed = weighted.groupby(differences["seed"]).sum()
    by_seed /= differences.groupby("seed")["users"].sum()
    mean, over_seeds = mean_interval(by_seed)
    columns = (differences["difference"], differences["seed"], differences.index)
    _, over_both = mean_over_runs(*columns, weights=differences["users"])
    half_widths = {"over_seeds": over_seeds, "over_seeds_and_scenarios": over_both}
    return {"mean": mean} | {
        name: None if np.isnan(value) else value for name, value in half_widths.items()
    }
