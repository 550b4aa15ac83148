"""The run folder: whose it is, and that nothing in it is ever half written."""

import dataclasses
import json
import re

import pytest
import tensorflow as tf
import yaml

from cmml_tf.config import EpisodeConfig, ModelConfig, ReadConfig, ScenarioRunConfig, TrainingConfig
from cmml_tf.config.rating import UserRunConfig
from cmml_tf.training.run_folder import RunFolder, load_config, plain, setting_of

CONFIG = ScenarioRunConfig(
    seed=4, model=ModelConfig(backbone_units=(8, 4)), episode=EpisodeConfig()
)


def test_configuration_reads_back_as_the_same(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.claim(CONFIG)
    assert load_config(folder.path, ScenarioRunConfig) == CONFIG
    assert yaml.safe_load((folder.path / "config.yaml").read_text()) == plain(CONFIG)


def test_environment_is_written(tmp_path):
    RunFolder(tmp_path).claim(CONFIG)
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["versions"]["tensorflow"] == tf.__version__
    assert {"python", "platform", "cpus", "git_commit"} <= environment.keys()


def test_the_same_run_may_go_on_with_other_places_and_time(tmp_path):
    RunFolder(tmp_path).claim(CONFIG)
    changed = dataclasses.replace(CONFIG, run_dir="r", export_dir="e", max_minutes=3.0)
    RunFolder(tmp_path).claim(changed)
    assert load_config(tmp_path, ScenarioRunConfig) == changed


def test_another_configuration_is_refused_and_changes_nothing(tmp_path):
    RunFolder(tmp_path).claim(CONFIG)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = dataclasses.replace(CONFIG, seed=5, model=ModelConfig())
    with pytest.raises(ValueError, match=r"another configuration \(different: model, seed\)"):
        RunFolder(tmp_path).claim(other)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_other_data_are_refused(tmp_path):
    folder = RunFolder(tmp_path)
    folder.check_data("abc", CONFIG, "scenario")
    folder.check_data("abc", CONFIG, "scenario")
    with pytest.raises(ValueError, match=r"The data has changed since the run in .* began"):
        folder.check_data("abd", CONFIG, "scenario")


def test_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not the folder of a run"):
        load_config(tmp_path, ScenarioRunConfig)


def _of_a_run(tmp_path):
    """A folder that has been claimed, with its data recorded and a training begun."""
    folder = RunFolder(tmp_path)
    folder.claim(CONFIG)
    folder.check_data("abc", CONFIG, "scenario")
    (tmp_path / "model").mkdir()
    return folder


def _go_on(tmp_path, config=CONFIG):
    folder = RunFolder(tmp_path)
    folder.claim(config)
    folder.check_data("abc", config, "scenario")


@pytest.mark.parametrize("name", ["config.yaml", "data.json"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'{"fingerprint', "is damaged"),
        (b"- 1\n", "is damaged"),
        (b"seed: &s 1\ndata: *s\n", "is damaged"),
        (b"seed: 1\nseed: 2\n", "is damaged"),
        (b"[" * 200_000, "is damaged"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_run_whose_record_is_not_whole_is_not_continued(tmp_path, name, content, said):
    _of_a_run(tmp_path)
    file = tmp_path / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    # With another learning rate, too, which must not be recorded as this run's.
    other = dataclasses.replace(CONFIG, training=TrainingConfig(learning_rate=0.5))
    for config in (CONFIG, other) if name == "config.yaml" else (CONFIG,):
        with pytest.raises(ValueError, match=rf"{name} {re.escape(said)}.*begin anew"):
            _go_on(tmp_path, config)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after.keys() == before.keys()
    assert after.get(name) == before.get(name)


def test_a_configuration_that_was_changed_or_is_of_another_run_is_found_out(tmp_path):
    _of_a_run(tmp_path)
    other = dataclasses.replace(CONFIG, training=TrainingConfig(learning_rate=0.5))
    text = yaml.safe_dump(plain(other), sort_keys=False)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(
        ValueError, match=r"config\.yaml is not what the run in .* was started with"
    ):
        _go_on(tmp_path, other)
    with pytest.raises(ValueError, match=r"another configuration \(different: training\)"):
        _go_on(tmp_path)
    assert (tmp_path / "config.yaml").read_text() == text


def test_a_folder_that_was_killed_before_anything_was_computed_begins(tmp_path):
    (tmp_path / ".config.yaml.7").write_text("half")
    _go_on(tmp_path)
    (tmp_path / "data.json").unlink()
    _go_on(tmp_path)
    assert json.loads((tmp_path / "data.json").read_text())["fingerprint"] == "abc"


def test_the_limit_of_malformed_lines_may_be_raised(tmp_path):
    _of_a_run(tmp_path)
    raised = dataclasses.replace(CONFIG, read=ReadConfig(max_malformed=7))
    _go_on(tmp_path, raised)
    assert load_config(tmp_path, ScenarioRunConfig) == raised


def test_a_run_of_the_user_setting_is_read_as_one(tmp_path):
    config = UserRunConfig(seed=3)
    folder = RunFolder(tmp_path)
    folder.claim(config)
    folder.check_data("abc", config, "user")
    assert setting_of(tmp_path) == "user"
    assert load_config(tmp_path, UserRunConfig) == config


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    for path in (tmp_path / "taken", tmp_path / "taken" / "run"):
        with pytest.raises(OSError, match=r"must be a folder, but .*taken is a file. Move that"):
            RunFolder(path)


def test_a_run_of_an_earlier_version_is_refused_with_what_to_do(tmp_path):
    _of_a_run(tmp_path)
    (tmp_path / "data.json").write_text('{"fingerprint": "abc"}')
    sentence = r"trained by an earlier version.*--config .*config\.yaml.*another `--run-dir`"
    for opened in (lambda: _go_on(tmp_path), lambda: setting_of(tmp_path)):
        with pytest.raises(ValueError, match=sentence):
            opened()
