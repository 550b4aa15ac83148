"""One cell of an experiment: a configuration trained once, its result in one file."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.config import ScenarioRunConfig
from cmml_tf.datasets.layouts import is_planted
from cmml_tf.datasets.synthetic.planted_source import generate_planted
from cmml_tf.datasets.tasks.held_out import halve_users
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario
from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.evaluation.report import NONE, OWN, TWIN
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.experiments.adaptation.sensitivity import position_sensitivity
from cmml_tf.files import write_whole
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.settings.judging import ask_all, model_systems
from cmml_tf.settings.run import SettingRun, open_run
from cmml_tf.settings.scenario.setting import ScenarioSetting
from cmml_tf.settings.systems import within_steps
from cmml_tf.settings.training import fit
from cmml_tf.training.efficiency import CpuTimer, median_cpu_milliseconds
from cmml_tf.training.run_folder import MODEL, plain

_METRIC = "recall@10"
_LEARNED_SCENARIOS = 17
_CALLS = 100


class Cell(NamedTuple):
    """What is trained and what is asked of it.

    Attributes:
      series: The line of a plot, or the row of a table, that it belongs to.
      x: Its place on the horizontal axis, or the column.
      config: The run.
      support_sizes: Evaluated with so many positives (and twice as many negatives), too.
      sensitivity: Also measure what each place of the support sequence moves in the context.
    """

    series: str
    x: Any
    config: ScenarioRunConfig
    support_sizes: tuple[int, ...] = ()
    sensitivity: bool = False

    def key(self) -> str:
        """A name of what is computed, the same in every experiment that asks for it."""
        config = plain(dataclasses.replace(self.config, run_dir=None, export_dir=""))
        asked = [config, list(self.support_sizes), self.sensitivity]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]

    def within_steps(self, steps: int | None) -> "Cell":
        """The same with at most so many training steps."""
        training = within_steps(self.config.training, steps)
        return self._replace(config=dataclasses.replace(self.config, training=training))

    def file(self, folder: Path) -> Path:
        """Where its result is kept."""
        return folder / "cells" / f"{self.key()}.json"


def result_of(cell: Cell, folder: Path) -> dict[str, Any]:
    """The result of a cell, read from its file, or computed and written there."""
    file = cell.file(folder)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        runs = folder / "runs" / cell.key()
        result = _compute(dataclasses.replace(cell.config, run_dir=str(runs)), cell)
        write_whole(file, json.dumps(result, indent=2))
        shutil.rmtree(runs)
    return json.loads(file.read_text())


def _compute(config: ScenarioRunConfig, cell: Cell) -> dict[str, Any]:
    tf.keras.backend.clear_session()
    run = open_run(ScenarioSetting(), config, print)
    timer = CpuTimer()
    model, history = _trained(run, MODEL)
    result: dict[str, Any] = {
        "preset": config.preset,
        "data": config.data,
        "seed": config.seed,
        "train_seconds": timer.wall,
        "train_cpu_seconds": timer.cpu,
        "steps": len(history) * config.training.steps_per_epoch,
        "loss": history[-1]["loss"],
        "parameters": sum(int(tf.size(weight)) for weight in model.trainable_variables),
    }
    scorer = run.setting.scorer(model)
    asked = run.prepared.meta_test
    twin = _trained(run, TWIN)[0] if model.reads_support else model
    found = ask_all(run.setting, model_systems(run.setting, model, twin, run.prepared.scale), asked)
    own, means = found[OWN], {name: one.means()[_METRIC] for name, one in found.items()}
    better = max((TWIN, NONE), key=means.__getitem__)
    gain = own.gain_over(found[better], _METRIC)
    result |= {
        **means,
        "own_interval": own.half_widths()[_METRIC],
        "gain": gain.mean,
        "gain_interval": gain.half_width,
        "learned": _recall(scorer, _learned(run), config),
    }
    if is_planted(config.data):
        planted = generate_planted(config.data, config.split, config.seed)
        oracle = evaluate_ranking(lambda e: planted.oracle_scores(e.name, e.users), asked)
        result["oracle"] = oracle.means()[_METRIC]
    result["by_support"] = {
        str(size): _recall(scorer, run.prepared.data.meta_test, config, size)
        for size in cell.support_sizes
    }
    result |= _costs(scorer, run)
    if cell.sensitivity:
        result["sensitivity"] = position_sensitivity(model, asked)
    return result


def _trained(run: SettingRun, name: str) -> tuple[AdaptingModel, list[dict[str, float]]]:
    """The model, or its twin that is never given a support set, and its epochs."""
    model = run.build()
    result = fit(
        run.setting,
        model,
        run.prepared,
        run.recipe,
        run.folder.path / name,
        run.config.max_minutes,
        verbose=0,
        with_support=name != TWIN,
    )
    return model, result.history


def _costs(scorer: ModelScorer, run: SettingRun) -> dict[str, float]:
    """Median CPU milliseconds, one task: `encode_ms` of its support, `score_ms` of 100 pairs."""
    (request,) = run.setting.requests(run.prepared, run.prepared.meta_test, 1)
    context = scorer.adapt(request.support)

    def score(_: int) -> np.ndarray:
        return scorer.score(context, request.user, request.item)

    return {
        "encode_ms": median_cpu_milliseconds(lambda _: scorer.adapt(request.support), _CALLS),
        "score_ms": median_cpu_milliseconds(score, _CALLS),
    }


def _recall(
    scorer: ModelScorer,
    scenarios: tuple[HeldOutScenario, ...],
    config: ScenarioRunConfig,
    positives: int | None = None,
) -> float:
    episode = config.episode
    if positives is not None:
        episode = dataclasses.replace(
            episode, support_positives=positives, support_negatives=2 * positives
        )
    episodes = EvaluationEpisodes.draw(scenarios, episode, config.seed * 4 + 2)
    return evaluate_ranking(candidate_scores(scorer), episodes).means()[_METRIC]


def _learned(run: SettingRun) -> tuple[HeldOutScenario, ...]:
    """Scenarios that were learned from, asked as if they were new."""
    rng = np.random.default_rng(run.config.seed)
    most = run.config.split.max_support_pairs
    return tuple(
        halve_users(s.name, s.users, s.items, s.candidates, most, rng)
        for s in run.prepared.data.meta_train[:_LEARNED_SCENARIOS]
    )
