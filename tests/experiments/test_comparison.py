"""A comparison's table against its cells, computed by hand."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from models.every_preset import MODEL_PRESETS
from scipy import stats

from cmml_tf.config import SCHEDULES, EpisodeConfig
from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.evaluation.statistics import mean_over_runs
from cmml_tf.evaluation.task_metrics import TaskMetrics, users_apart
from cmml_tf.experiments.comparison import Comparison
from cmml_tf.experiments.comparison_cell import Cell, CellResult
from cmml_tf.experiments.forms import FORMS
from cmml_tf.reports.comparison_page import ComparisonContent, comparison_page
from cmml_tf.settings.systems import system_names, within_steps
from cmml_tf.training.efficiency import Cost

TASKS = 9
SIMPLE = ("item-pop", "user-mean")
SIZES = {"0": -0.2, "4": -0.1, "all": 0.0}


def write_cell(out, system, seed, level, setting="scenario", episodes="same"):
    rng = np.random.default_rng([seed, sum(map(ord, system))])
    metrics = FORMS[setting].columns
    table = {name: level + rng.normal(0, 0.05, TASKS) for name in metrics}
    tasks = pd.DataFrame(
        {"task": [f"t{n}" for n in range(TASKS)], "support": "own", "rows": 3} | table
    )
    own = {name: float(values.mean()) for name, values in table.items()}
    # Of what is no model there is nothing but itself.
    worse = {} if system in SIMPLE else {"twin": 0.1, "none": 0.15, "swapped": 0.3}
    parts = [tasks]
    for support, by in worse.items():
        other = tasks.assign(support=support)
        parts.append(other.assign(**{name: other[name] - by - seed / 100 for name in metrics}))
    means = {
        name: frame[list(metrics)].mean().to_dict()
        for name, frame in zip(("own", *worse), parts, strict=True)
    }
    level += (seed - 1) / 100
    curve = {size: {"own": dict.fromkeys(metrics, level + by)} for size, by in SIZES.items()}
    result = CellResult(pd.concat(parts), means, curve, Cost(steps=7), f"{episodes}-{seed}")
    cell = Cell(system, seed)
    cell.save(out, result, {})
    return tasks, own


def test_table_is_means_intervals_and_paired_tests_of_the_cells(tmp_path):
    cells, values, tables = [], {}, {}
    for system, level in (("item-pop", 0.5), ("pe", 0.8), ("cmml-film", 0.78)):
        for seed in range(3):
            table, own = write_cell(tmp_path, system, seed, level)
            tables.setdefault(system, []).append(table["recall@10"].to_numpy())
            values.setdefault(system, []).append(own["recall@10"])
            cells.append(Cell(system, seed))
    comparison = Comparison.of(FORMS["scenario"], tmp_path, cells)
    assert [row.system for row in comparison.rows] == ["item-pop", "pe", "cmml-film"]
    best = max(values, key=lambda name: np.mean(values[name]))
    assert comparison.best == best
    raw = {
        name: stats.wilcoxon(np.mean(tables[name], 0), np.mean(tables[best], 0)).pvalue
        for name in values
        if name != best
    }
    small, large = sorted(raw.values())
    adjusted = {small: 2 * small, large: max(large, 2 * small)}
    for row in comparison.rows:
        mean, half_width = row.metrics["recall@10"]
        assert mean == pytest.approx(np.mean(values[row.system]))
        runs, names = np.repeat(range(3), TASKS), np.tile(np.arange(TASKS), 3)
        over_both = mean_over_runs(np.concatenate(tables[row.system]), runs, names)
        assert half_width == pytest.approx(over_both[1])
        if row.system == "item-pop":
            assert math.isnan(row.gain.mean)
            assert row.controls == {}
        else:
            # Better than the twin, which is better than none, by .10, .11 and .12.
            assert row.gain.mean == pytest.approx(0.11)
            assert row.gain.half_width == pytest.approx(4.3027 * 0.01 / 3**0.5)
            assert row.controls["swapped"].mean == pytest.approx(mean - 0.31)
        level = {"item-pop": 0.5, "pe": 0.8, "cmml-film": 0.78}[row.system]
        at_size = {size: one.mean for size, one in row.curve.items()}
        assert at_size == pytest.approx({size: level + by for size, by in SIZES.items()})
        assert row.seeds == 3
        assert row.cost.steps == 7
        expected = None if row.system == best else pytest.approx(adjusted[raw[row.system]])
        assert row.p == expected
    comparison.save(tmp_path)
    written = json.loads((tmp_path / "table.json").read_text())
    assert written["best"] == best
    assert written["systems"][0]["metrics"]["recall@10"]["mean"] == pytest.approx(
        np.mean(values["item-pop"])
    )
    assert written["systems"][0]["curve"]["4"] == pytest.approx(0.4)
    report = (tmp_path / "report.html").read_text()
    assert f"is the best by recall@10, {comparison.row(best).metrics['recall@10']}" in report
    assert all(row.label in report for row in comparison.rows)
    assert f"Of {TASKS} scenarios" in report
    text = (tmp_path / "table.md").read_text()
    assert "| recall@10 by size of the support | 0 | 4 | all |" in text
    assert "| CMML-FiLM | 0.5800 ± 0.0248 | 0.6800 ± 0.0248 | 0.7800 ± 0.0248 |" in text
    assert f"{np.mean(values['item-pop']):.4f} ± " in text
    parquet = pd.read_parquet(tmp_path / "tasks.parquet")
    assert len(parquet) == 3 * (1 + 4 + 4) * TASKS
    assert set(parquet["system"]) == {"item-pop", "pe", "cmml-film"}


def test_lower_mae_is_better_and_one_seed_has_an_interval_over_tasks(tmp_path):
    tables = {
        system: write_cell(tmp_path, system, 0, level, setting="user")[0]
        for system, level in (("user-mean", 0.9), ("ridge", 0.7))
    }
    comparison = Comparison.of(FORMS["user"], tmp_path, [Cell("user-mean", 0), Cell("ridge", 0)])
    assert comparison.best == "ridge"
    own = tables["ridge"]["mae"].to_numpy()
    usual = 2.3060 * own.std(ddof=1) / TASKS**0.5
    assert comparison.row("ridge").metrics["mae"].half_width == pytest.approx(usual, rel=1e-4)
    # Without ratings the error was lower by 0.15: the own ones did harm.
    assert comparison.row("ridge").gain.mean == pytest.approx(-0.15)
    first = comparison.as_json()["systems"][0]
    assert first["context_gain"] == {"mean": None, "half_width": None}


def test_systems_asked_different_episodes_are_not_compared(tmp_path):
    write_cell(tmp_path, "pe", 0, 0.8)
    write_cell(tmp_path, "se", 0, 0.8, episodes="other")
    with pytest.raises(ValueError, match="se and pe were not asked the same episodes with seed 0"):
        Comparison.of(FORMS["scenario"], tmp_path, [Cell("pe", 0), Cell("se", 0)])


def test_cell_without_its_last_file_is_not_finished(tmp_path):
    write_cell(tmp_path, "pe", 0, 0.8)
    assert Cell("pe", 0).is_finished(tmp_path)
    (Cell("pe", 0).folder(tmp_path) / "result.json").unlink()
    assert not Cell("pe", 0).is_finished(tmp_path)
    with pytest.raises(FileNotFoundError):
        Comparison.of(FORMS["scenario"], tmp_path, [Cell("pe", 0)])


def test_presets_that_are_one_model_are_run_once():
    assert system_names(FORMS["scenario"].systems, "Linear,SE-dot, cmml_linear,ItemPop") == (
        "cmml-linear",
        "item-pop",
    )
    assert MODEL_PRESETS["se-dot"] == MODEL_PRESETS["cmml-linear"]
    with pytest.raises(ValueError, match=r"names out of item-pop, .* Received: 'bpr'"):
        system_names(FORMS["scenario"].systems, "pe,bpr")
    assert set(MODEL_PRESETS) < set(FORMS["scenario"].systems)


def test_every_preset_is_compared_as_its_own_command_trains_it():
    form = FORMS["scenario"]
    for name, preset in form.options.presets.items():
        schedule, system = SCHEDULES[preset.schedule], form.systems[name]
        assert system.training == schedule.training
        assert system.episode == schedule.episode(EpisodeConfig())


@pytest.mark.parametrize(("steps", "epochs", "each"), [(1, 1, 1), (199, 1, 199), (1000, 5, 200)])
def test_step_budget_is_never_exceeded(steps, epochs, each):
    training = within_steps(SCHEDULES["default"].training, steps)
    assert (training.max_epochs, training.steps_per_epoch) == (epochs, each)


def test_budget_beyond_the_schedule_changes_nothing():
    training = SCHEDULES["paper"].training
    assert within_steps(training, None) == within_steps(training, 10**6) == training


@pytest.mark.parametrize("name", ["seeds", "steps", "tasks_per_step"])
def test_configuration_refuses_what_it_cannot_run(name):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive integer"):
        ComparisonConfig(**{name: 0})
    with pytest.raises(
        ValueError, match=r"`setting` must be one of scenario, user, ranking. Received: .*'item'"
    ):
        ComparisonConfig(setting="item")
    with pytest.raises(ValueError, match="`liked` must be none unless setting is ranking"):
        ComparisonConfig(liked=4.0)


def test_parts_of_what_was_asked_count_by_their_own_rows(tmp_path):
    rows = dict.fromkeys(FORMS["scenario"].columns, np.array([1.0, 0.0, 0.5, 0.25]))
    apart = users_apart(rows, np.array([True, False, False, False]))
    metrics = TaskMetrics(["a", "b"], np.array([0, 0, 0, 1]), rows, apart)
    parts = metrics.parts_table("recall@10")
    assert parts["rows of unknown_users"].tolist() == [2, 1]
    assert parts["recall@10 of unknown_users"].tolist() == [0.25, 0.25]
    tasks = metrics.table().rename(columns={"name": "task", "users": "rows"}).join(parts)
    tasks.insert(1, "support", "own")
    means = {"own": metrics.means()}
    result = CellResult(tasks, means, {}, Cost(), "same", {"users": 0.25, "items": 1.0})
    Cell("item-pop", 0).save(tmp_path, result, {})
    comparison = Comparison.of(FORMS["scenario"], tmp_path, [Cell("item-pop", 0)])
    found = {name: mean.mean for name, mean in comparison.rows[0].parts.items()}
    expected = {name: part["recall@10"] for name, part in metrics.part_means().items()}
    assert found == pytest.approx(expected) == {"known_users": 1.0, "unknown_users": 0.25}
    assert comparison.as_json()["known"] == {"users": 0.25, "items": 1.0}
    text, pictures = comparison_page(
        ComparisonContent(FORMS["scenario"], {}, comparison.as_json(), comparison.tasks)
    )
    assert "25.0% of the users are known; 100.0% of the items are known" in text
    assert "unknown users" in text
    assert "known" in [picture.name for picture in pictures]
