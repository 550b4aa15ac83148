"""The run folder: whose it is, and that nothing in it is ever half written."""

import dataclasses
import json
import resource

import pytest
import tensorflow as tf
import yaml

from cmml_tf.config import ModelConfig, ScenarioRunConfig
from cmml_tf.files import write_whole
from cmml_tf.training.run_folder import RunFolder, load_config, plain

CONFIG = ScenarioRunConfig(seed=4, model=ModelConfig(backbone_units=(8, 4)))


def test_configuration_reads_back_as_the_same(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.claim(CONFIG)
    assert load_config(folder.path) == CONFIG
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
    assert load_config(tmp_path) == changed


def test_another_configuration_is_refused_and_changes_nothing(tmp_path):
    RunFolder(tmp_path).claim(CONFIG)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = dataclasses.replace(CONFIG, seed=5, model=ModelConfig())
    with pytest.raises(ValueError, match=r"another configuration \(different: model, seed\)"):
        RunFolder(tmp_path).claim(other)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_other_data_are_refused(tmp_path):
    folder = RunFolder(tmp_path)
    folder.check_data("abc", CONFIG)
    folder.check_data("abc", CONFIG)
    with pytest.raises(ValueError, match=r"The data has changed since the run in .* began"):
        folder.check_data("abd", CONFIG)


def test_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not the folder of a run"):
        load_config(tmp_path)


def test_a_full_disk_leaves_the_old_content(tmp_path):
    file = tmp_path / "metrics.json"
    write_whole(file, "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(file, "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]
