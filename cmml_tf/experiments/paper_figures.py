"""Figures 3 and 4 from the trainings of a comparison, and 2; `cmml reproduce` draws them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from cmml_tf.config import EpisodeConfig
from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario
from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisodes
from cmml_tf.experiments.comparison_folder import claim, comparison_folder, finish
from cmml_tf.experiments.comparison_run import open_data
from cmml_tf.experiments.forms import FORMS
from cmml_tf.experiments.inner_steps import INNER_STEPS
from cmml_tf.experiments.own_process import run_alone
from cmml_tf.files import write_whole
from cmml_tf.interpretation.contexts import (
    choose_tasks,
    project,
    scenario_group,
    separation,
    task_contexts,
    write_projector,
)
from cmml_tf.interpretation.figures import (
    Curve,
    Projection,
    draw_costs,
    draw_projections,
    draw_route_map,
    draw_routes,
    save_figure,
)
from cmml_tf.interpretation.routes import cluster_tasks, task_routes
from cmml_tf.models.cmml import CMML
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.scenario.parts import ScenarioParts
from cmml_tf.settings.systems import system_names
from cmml_tf.training.checkpoint import restore_best_weights

_SEED = 0
_DRAWS = 20
_ROUTED_PAIRS = 2000
_WITH_INNER_STEPS = {"scenario": ("s2meta",), "user": ("melu", "metacs-dnn")}
_COST_TITLES = {
    "request_ms": "adapt and score, CPU ms",
    "request_mib": "adapt and score, MiB",
    "train_ms": "training step, CPU ms",
    "train_mib": "training, MiB",
}


def figure_3(config: ComparisonConfig) -> Path:
    """Contexts of several support sets of some meta-test scenarios, one panel a system."""
    out, parts, models = _trained(config)
    scenarios = parts.data.meta_test
    if config.hybrid_with is None:
        groups = [scenario_group(scenario.name) for scenario in scenarios]
        kinds = 4
    else:
        groups = [scenario.name.partition(":")[0] for scenario in scenarios]
        kinds = 2
    chosen = choose_tasks(groups, kinds=kinds)
    episodes = [
        episode
        for draw in range(_DRAWS)
        for episode in _episodes([scenarios[place] for place in chosen], draw)
    ]
    names = [episode.name for episode in episodes]
    of_group = [groups[place] for place in chosen] * _DRAWS
    name = "figure3" if config.hybrid_with is None else "figure3-hybrid"
    panels, apart = [], []
    for system, model in models.items():
        contexts = task_contexts(model, [episode.support for episode in episodes])
        write_projector(
            out / f"{name}-projector" / system, contexts, {"scenario": names, "group": of_group}
        )
        label = FORMS["scenario"].systems[system].label
        panels.append(Projection(label, project(contexts, _SEED), of_group, names))
        apart.append(
            f"{label} {separation(contexts, names):.2f} by scenario, "
            f"{separation(contexts, of_group):.2f} by colour"
        )
    caption = (
        f"Contexts of {_DRAWS} support sets of each of {len(chosen)} unseen scenarios of "
        f"{_data_name(config)}, t-SNE.\nMean silhouette in all dimensions: {'; '.join(apart)}."
    )
    save_figure(draw_projections(panels, caption), out / name)
    return out / name


def figure_4(config: ComparisonConfig) -> Path:
    """Routes of the two meta-test scenarios that differ most, and of all, clustered."""
    out, parts, models = _trained(config)
    ((_, model),) = models.items()
    routes, names, moved = [], [], 0.0
    for episode, other in zip(parts.meta_test, parts.meta_test.swapped(0), strict=True):
        users = np.repeat(episode.users, len(episode.candidates))[:_ROUTED_PAIRS]
        items = np.tile(episode.candidates, len(episode.users))[:_ROUTED_PAIRS]
        routes.append(task_routes(model, episode.support, users, items))
        names.append(episode.name)
        with_other = task_routes(model, other.support, users, items)
        moved = max(moved, np.abs(routes[-1] - with_other).max())
    routes, modules = np.stack(routes), model.recommender.modules
    distance = np.abs(routes[:, None] - routes[None]).sum(axis=-1)
    two = np.unravel_index(distance.argmax(), distance.shape)
    largest = np.abs(routes[two[0]] - routes[two[1]]).max()
    caption = (
        f"Mean route weights over up to {_ROUTED_PAIRS} query pairs of the two unseen scenarios of "
        f"{_data_name(config)} whose routes differ most.\n"
        f"Darker and wider: more weight. Largest difference of a route: {largest:.3f}."
    )
    save_figure(
        draw_routes({names[place]: routes[place] for place in two}, modules, caption),
        out / "figure4-routes",
    )
    caption = (
        f"All {len(names)} unseen scenarios of {_data_name(config)}: route layer:source>target, "
        "against their mean over scenarios, joined by the distance of their routes.\nWith another "
        f"scenario's support set, and the same query pairs, a route moves by {moved:.4f} at most."
    )
    drawn = draw_route_map(names, routes, cluster_tasks(routes), modules, caption)
    save_figure(drawn, out / "figure4-tasks")
    return out / "figure4-routes"


def _trained(config: ComparisonConfig) -> tuple[Path, ScenarioParts, dict[str, CMML]]:
    """The comparison's folder, seed 0's parts, and its trained models by name."""
    out = comparison_folder(config)
    one_seed = replace(config, seeds=1)
    finish(one_seed, out)
    tf.config.experimental.enable_op_determinism()
    shared = out / f"seed-{_SEED}"
    setting = SETTINGS["scenario"]
    parts = setting.prepare(open_data(setting, config, _SEED), shared, config, _SEED)
    models = {}
    systems = FORMS["scenario"].systems
    for name in system_names(systems, config.systems):
        models[name] = setting.build_for_training(systems[name].recipe(_SEED), parts)
        restore_best_weights(models[name], shared / "trainings" / name / "checkpoints")
    return out, parts, models


def _episodes(scenarios: Sequence[HeldOutScenario], draw: int) -> EvaluationEpisodes:
    return EvaluationEpisodes.draw(scenarios, EpisodeConfig(), 1000 + draw)


def _data_name(config: ComparisonConfig) -> str:
    name = Path(config.data).name
    return name if config.hybrid_with is None else f"{name} and {Path(config.hybrid_with).name}"


def figure_2(config: ComparisonConfig) -> Path:
    """Time and memory by inner steps, each measured in a process of its own; nothing is trained."""
    out = comparison_folder(config)
    claim(config, out)
    form = FORMS[config.setting]
    names = system_names(form.systems, config.systems)
    costs = {}
    for name in names:
        adapts = name in _WITH_INNER_STEPS[config.setting]
        costs[name] = {steps: _cost(out, name, steps) for steps in (INNER_STEPS if adapts else [0])}
    panels = {
        title: [
            Curve(
                form.systems[name].label,
                [steps for steps in by_steps if steps],
                [cost[field] for cost in by_steps.values()],
            )
            for name, by_steps in costs.items()
        ]
        for field, title in _COST_TITLES.items()
    }
    caption = (
        f"{_data_name(config)}: adaptation to one task and {form.request} (left), a training "
        f"step with {form.measured_tasks[1]} (right);\nCPU time, and growth of the process's "
        "peak memory."
    )
    name = f"figure2-{config.setting}"
    save_figure(draw_costs(panels, caption), out / name)
    write_whole(out / f"{name}.json", json.dumps(costs, indent=2))
    return out / name


def _cost(out: Path, name: str, steps: int) -> dict[str, float]:
    file = out / "inner_steps" / f"{name}-{steps}.json"
    if not file.exists():
        print(f"{name}, {steps} inner steps", flush=True)
        arguments = [str(out), name, str(steps), str(file)]
        run_alone("inner_step_cost", arguments, file.with_suffix(".log"))
    return json.loads(file.read_text())
