"""Which loss a command trains with."""

import pytest

from cmml_tf.commands.options import run_config
from cmml_tf.experiments.forms import FORMS
from cmml_tf.settings.run import open_run
from cmml_tf.settings.scenario.setting import ScenarioSetting
from cmml_tf.tasks.scenario import HingeTask, LogisticTask

DATA = "planted:meta_train=8,meta_test=2,items_per_scenario=12,users=40,users_per_scenario=30"


@pytest.mark.parametrize(
    ("preset", "flags", "task"),
    [
        ("cmml-ridge", (), LogisticTask),
        ("cmml-ridge", ("--episode.loss", "hinge"), HingeTask),
        ("cmml-film", (), HingeTask),
    ],
)
def test_training_and_comparison_build_the_loss_of_the_configuration(tmp_path, preset, flags, task):
    setting = ScenarioSetting()
    arguments = ("--preset", preset, "--data", DATA, "--run-dir", str(tmp_path / "run"), *flags)
    config = run_config(arguments, "Trains.", setting.form.options)
    run = open_run(setting, config, lambda line: None)
    assert isinstance(run.build().task, task)
    if not flags:
        system = FORMS["scenario"].systems[preset]
        model = setting.build_for_training(system.recipe(0), run.prepared)
        assert isinstance(model.task, task)
