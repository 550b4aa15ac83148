"""Exports of known quality, made without training, and a log to ask them about."""

import json
import shutil
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
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


KINDS = 4
"""Items of one kind are liked by the same users."""


def write_shop(folder, scenarios, items, seed=0):
    """A log `log.csv` of these items, and `items.csv`, which says of each item its kind."""
    rng, folder = np.random.default_rng(seed), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for scenario in scenarios:
        for user in range(60):
            liked = items[items % KINDS == user % KINDS]
            rows += [(scenario, user, item) for item in rng.choice(liked, 5, replace=False)]
    columns = ["scenario", "user", "item"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "log.csv", index=False)
    kind = [f"kind {item % KINDS}" for item in items]
    pd.DataFrame({"item": items, "kind": kind}).to_csv(folder / "items.csv", index=False)
    return folder


SHOP = {"scenario": {"definition": "column:scenario", "min_items": 5, "min_interactions": 50}}


@pytest.fixture(scope="session")
def describing(tmp_path_factory):
    """An export that reads the kinds of items 0 to 39 and of others."""
    folder = tmp_path_factory.mktemp("describing")
    write_shop(folder, [f"old {n}" for n in range(8)], np.arange(40))
    given = {"data": str(folder / "log.csv"), "items": str(folder / "items.csv"), **SHOP}
    kinds = "kind=categorical"
    return export_untrained("scenario", folder, "cmml-matching", kinds=kinds, **given)


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
