"""Exports of known quality, made without training, and a log to ask them about."""

import json
import shutil
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from cmml_tf.config import override
from cmml_tf.experiments.forms import FORMS
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.run import open_run

LOG = "planted:users=200,users_per_scenario=30,meta_train=8,meta_test=6,dimension=8"
FACTS = {"verdict": {"differences": {}, "better_than": []}, "protocol": "strict"}


def export_untrained(setting, folder, preset, change=lambda model: None, **options):
    """The version folder of a model with its first weights, changed."""
    config = FORMS[setting].options.base(preset, None)
    config = override(config, {**options, "run_dir": str(folder / "run")})
    config = override(config, {"export_dir": str(folder / "export")})
    run = open_run(SETTINGS[setting], config, lambda line: None)
    model = run.build()
    change(model)
    return run.export(model, FACTS).version


def emptied(model):
    """The model tells no item from another."""
    table = model.pair_embedding.item_table
    table.assign(np.zeros(table.shape, np.float32))


class Exports:
    """`good` is above ItemPop, `poor` below it, `lost` at chance; each made when first asked for.

    Args:
      folder: Theirs.
    """

    def __init__(self, folder):
        self.folder = folder

    @cached_property
    def good(self):
        return export_untrained("scenario", self.folder / "good", "cmml-matching", data=LOG)

    @cached_property
    def poor(self):
        return export_untrained("scenario", self.folder / "poor", "cmml-ridge", data=LOG)

    @cached_property
    def lost(self):
        folder = self.folder / "lost"
        return export_untrained("scenario", folder, "cmml-ridge", emptied, data=LOG)


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    return Exports(tmp_path_factory.mktemp("exports"))


@pytest.fixture
def served(tmp_path):
    """`served(current, candidate)` copies exports into a base path and its candidates."""

    def make(current=None, candidate=None):
        base = tmp_path / "models"
        for version, place in ((current, base / "1"), (candidate, base / "candidates" / "1")):
            if version is not None:
                shutil.copytree(version, place)
        return base

    return make


def change_manifest(version, change):
    """Rewrites the manifest of a version."""
    path = Path(version) / "assets.extra" / "cmml_manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
