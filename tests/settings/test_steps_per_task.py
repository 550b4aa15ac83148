"""Few tasks are learned by heart in many steps: a schedule may say how many each is worth."""

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


@pytest.mark.parametrize(("tasks", "steps"), [(1, 3), (4, 12), (7, 21), (14, 40), (0, 40)])
def test_many_tasks_or_none_that_is_named_leave_a_schedule_as_it_is(tasks, steps):
    cut = for_tasks(LONG, tasks)
    assert steps - 1 <= cut.steps_per_epoch * cut.max_epochs <= steps
    assert (cut == LONG) == (steps == 40)


def test_the_recommended_preset_takes_all_its_steps_of_twenty_scenarios():
    training = SCHEDULES["matching"].training
    assert for_tasks(training, 20) == training
    few = for_tasks(training, 6)
    assert few.max_epochs * few.steps_per_epoch == 120
