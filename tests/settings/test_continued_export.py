"""An export holds what its run is continued from, so that the run's folder may be gone."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import cmml_tf
from cmml_tf.config import ScenarioConfig
from cmml_tf.settings.finished_run import Run
from cmml_tf.settings.run import open_run
from cmml_tf.training.run_folder import TWIN

OPTIONS = {
    "training": {"steps_per_epoch": 20, "max_epochs": 1},
    "curve": {"draws": 1},
}
LARGE = ScenarioConfig(min_items=5, min_interactions=50)
STATE = "assets.extra/cmml_training"


def clicks(campaigns, seed=0):
    """Users with tastes; a campaign shows 15 of the items that there are by then."""
    rng = np.random.default_rng(seed)
    users, items = rng.normal(size=(210, 3)), rng.normal(size=(120, 3))
    rows = []
    for campaign in range(campaigns):
        shown = rng.choice(40 + 4 * campaign, 15, replace=False)
        user = rng.integers(80 + 6 * campaign, size=150)
        chance = np.exp(1.5 * users[user] @ items[shown].T)
        share = chance.cumsum(1) / chance.sum(1, keepdims=True)
        item = shown[(share > rng.random((150, 1))).argmax(1)]
        rows += zip(user, item, [f"c{campaign:02d}"] * 150, strict=True)
    return pd.DataFrame(rows, columns=["user", "item", "scenario"])


def fitted(run_dir, campaigns=18, options=None, **given):
    data = cmml_tf.scenario_data(clicks(campaigns), scenario=LARGE)
    options = OPTIONS if options is None else options
    return cmml_tf.fit(data, run_dir=run_dir, options=options, progress=False, **given)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def weights(run):
    return [one.numpy() for one in run.model.trainable_variables]


def weights_of_twin(run):
    return [one.numpy() for one in run._run.trained(TWIN).trainable_variables]


@pytest.fixture(scope="module")
def monday(tmp_path_factory):
    """A run with its exports: what was evaluated, then its refit."""
    folder = tmp_path_factory.mktemp("monday")
    run = fitted(folder / "run")
    run.export(folder / "export")
    run.refit(progress=False).export(folder / "export")
    return run, folder / "export"


def opened(later, run_dir, source):
    """The same run as it begins when it continues something else."""
    config = replace(later._run.config, run_dir=str(run_dir), continue_from=str(source))
    return open_run(later._run.setting, config, lambda line: None)


@pytest.fixture(scope="module")
def still(monday, tmp_path_factory):
    """A run that continues the export in steps of nearly no length; both earlier folders are gone.

    A model base path stands for what is served of it: its largest version.
    """
    run, export = monday
    folder = tmp_path_factory.mktemp("still")
    shutil.copytree(export, folder / "export")
    gone = run.folder.with_name("gone")
    run.folder.rename(gone)
    options = {**OPTIONS, "training": {**OPTIONS["training"], "learning_rate": 1e-12}}
    try:
        later = fitted(folder / "run", 22, options, continue_from=folder / "export")
    finally:
        gone.rename(run.folder)
    shutil.rmtree(folder / "export")
    again = fitted(folder / "run", 22, options, continue_from=folder / "export")
    for one, other in zip(weights(later), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)
    return later


def test_a_run_continues_an_export_as_it_would_the_run(monday, still, tmp_path):
    of_run = opened(still, tmp_path / "of-run", monday[0].folder)
    first, second = (contents(one / "continued") for one in (of_run.folder.path, still.folder))
    assert {"model.npz", "twin.npz", "refit/model.npz", "factors.npz"} < first.keys()
    assert first == second  # So a refit of both begins with the same bytes, too.
    # All that a training and an evaluation come from: the data, and what is asked.
    asked = [one.prepared for one in (of_run, still._run)]
    assert len({one.data.fingerprint() for one in asked}) == 1
    assert len({one.meta_test.fingerprint() for one in asked}) == 1
    assert len({one.curve.fingerprint() for one in asked}) == 1


@pytest.mark.slow
def test_the_training_that_continues_an_export_is_the_one_that_continues_its_run(monday, tmp_path):
    run, export = monday
    later = [
        fitted(tmp_path / name, 22, continue_from=source)
        for name, source in (("of-run", run.folder), ("of-export", export))
    ]
    for of in (weights, weights_of_twin):
        for one, other in zip(*map(of, later), strict=True):
            np.testing.assert_array_equal(one, other)


def test_weights_start_where_those_of_the_export_ended(monday, still, tmp_path):
    run, export = monday
    for of in (weights, weights_of_twin):
        for before, now in zip(of(run), of(still), strict=True):
            np.testing.assert_allclose(now, before, rtol=1e-6, atol=1e-6)
    known = run._run.prepared.data.item_ids
    assert still._run.prepared.data.item_ids[: len(known)].tolist() == known.tolist()
    # What was evaluated knows nothing of its refit, which learned from what was held out.
    assert (still.folder / "continued" / "refit").exists()
    opened(still, tmp_path / "later", export / "1")
    assert (tmp_path / "later" / "continued" / "model.npz").exists()
    assert not (tmp_path / "later" / "continued" / "refit").exists()


def test_the_manifest_has_digests_of_what_an_export_holds_of_its_run(monday):
    version = monday[1] / "1"
    held = json.loads((version / "assets.extra" / "cmml_manifest.json").read_text())["training"]
    assert held.keys() == {f"{STATE}/{name}" for name in contents(version / STATE)}
    assert f"{STATE}/model.npz" in held
    for name, digest in held.items():
        assert hashlib.sha256((version / name).read_bytes()).hexdigest() == digest


def test_what_an_export_lacks_is_said(monday, tmp_path):
    _, export = monday
    version = tmp_path / "1"

    def refused(match, options=None):
        with pytest.raises(ValueError, match=match):
            fitted(tmp_path / "run", 22, options, continue_from=version)

    shutil.copytree(export / "1", version)
    refused("The export .* with other options of factors", {**OPTIONS, "factors": {"dimension": 4}})
    file = version / STATE / "factors.npz"
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(content)
    refused(r"factors\.npz is not what was exported, so the export cannot be continued")
    file.unlink()
    refused(r"factors\.npz is missing")
    shutil.copy(export / "1" / STATE / "factors.npz", file)
    (version / STATE / "steps").write_text("more")
    refused("steps is not what was exported")
    manifest = version / "assets.extra" / "cmml_manifest.json"
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**said, "setting": "user"}))
    shutil.rmtree(version / STATE)
    shutil.copytree(export / "1" / STATE, version / STATE)
    refused("is of the setting user, and cannot be continued in the setting scenario")
    manifest.write_text(json.dumps({**said, "training": {}}))
    refused("holds nothing that a training could go on from: it was exported with hashed")


def test_an_export_that_hashes_users_holds_no_id_of_them(monday, tmp_path):
    run, _ = monday
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    hashing = replace(run._run, config=replace(run._run.config, hash_user_ids=str(key)))
    version = Run(hashing, evaluated=run).export(tmp_path / "export")
    assert not (version / STATE).exists()
    with pytest.raises(ValueError, match="exported with hashed user ids"):
        fitted(tmp_path / "later", 22, continue_from=version)
