"""Few tasks are learned by heart in many steps: a schedule may say how many each is worth."""

import json

import pytest
import tensorflow as tf

import cmml_tf
from cmml_tf.config import SCHEDULES, TrainingConfig
from cmml_tf.settings.systems import for_tasks

DATA = "planted:users=60,users_per_scenario=20,meta_train=4,meta_test=2,dimension=4"
LONG = TrainingConfig(steps_per_epoch=20, max_epochs=2, steps_per_task=3)


def test_a_run_of_four_scenarios_takes_as_many_steps_of_each_and_says_so(tmp_path, capsys):
    options = {"training": {"steps_per_epoch": 20, "max_epochs": 2, "steps_per_task": 3}}
    run = cmml_tf.fit(cmml_tf.scenario_data(DATA), "pe", run_dir=tmp_path, options=options)
    assert "  training steps: 12, 3 for each of 4 tasks\n" in capsys.readouterr().out
    assert steps_taken(tmp_path) == 12
    # A refit learns from the two that were asked, too; it is trained alike.
    run.refit(progress=False)
    assert steps_taken(tmp_path / "refit") == 12


def steps_taken(folder):
    latest = tf.train.load_checkpoint(str(folder / "model/checkpoints/latest"))
    (counter,) = [name for name in latest.get_variable_to_shape_map() if "/iter/" in name]
    return latest.get_tensor(counter)


@pytest.mark.parametrize(
    ("tasks", "epochs", "each"), [(1, 1, 3), (4, 1, 12), (7, 2, 10), (14, 2, 20), (0, 2, 20)]
)
def test_a_schedule_is_cut_to_what_so_many_tasks_are_worth(tasks, epochs, each):
    cut = for_tasks(LONG, tasks)
    assert (cut.max_epochs, cut.steps_per_epoch) == (epochs, each)
    assert (cut == LONG) == (tasks in (14, 0))


@pytest.mark.slow
def test_a_comparison_trains_the_recommended_preset_as_a_run_does(tmp_path):
    cmml_tf.compare(cmml_tf.scenario_data(DATA), ["cmml-matching"], out=tmp_path, seeds=1)
    trained = tmp_path / "seed-0/trainings/cmml-matching/training.json"
    assert json.loads(trained.read_text())["steps"] == 80


def test_the_recommended_preset_takes_all_its_steps_of_twenty_scenarios():
    training = SCHEDULES["matching"].training
    assert for_tasks(training, 20) == training
    few = for_tasks(training, 6)
    assert few.max_epochs * few.steps_per_epoch == 120
