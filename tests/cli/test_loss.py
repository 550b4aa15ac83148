"""Which loss a command trains with."""

from pathlib import Path

import pytest

from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.evaluation.scenario_parts import scenario_parts
from cmml_tf.evaluation.scenario_systems import build_system
from cmml_tf.tasks.scenario import HingeTask, LogisticTask
from cmml_tf.training.run_folder import RunFolder

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
DATA = "planted:meta_train=8,meta_test=2,items_per_scenario=12,users=40,users_per_scenario=30"


@pytest.mark.parametrize(
    ("preset", "flags", "task"),
    [
        ("cmml-ridge", (), LogisticTask),
        ("cmml-ridge", ("--episode.loss", "hinge"), HingeTask),
        ("cmml-film", (), HingeTask),
    ],
)
def test_training_and_comparison_build_the_loss_of_the_configuration(
    monkeypatch, tmp_path, preset, flags, task
):
    monkeypatch.syspath_prepend(str(PIPELINES))
    from command_line import scenario_config
    from scenario_run import ScenarioRun

    config = scenario_config(("--preset", preset, "--data", DATA, *flags), "Trains.")
    data = open_scenario_data(config.data, config.scenario, config.split, config.seed)
    parts = scenario_parts(data, tmp_path, config.embedding, config.episode, config.seed)
    run = ScenarioRun(**vars(parts), config=config, folder=RunFolder(tmp_path))
    assert isinstance(run.model(config.model).task, task)
    if not flags:
        system = build_system(preset, parts, config.training, seed=0)
        assert isinstance(system.task, task)
