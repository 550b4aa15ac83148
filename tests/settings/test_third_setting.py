"""How to add a setting: what stands between the two lines below, and nothing else.

A task is a mood: a hidden direction that says which items one likes just now. Its support are
labelled items, its query other items, and what counts is the share of right answers.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from cmml_tf.baselines.simple_ratings.means import ItemMeans, UserMean
from cmml_tf.config import ModelConfig, TrainingConfig
from cmml_tf.evaluation.criteria import Gain, Simple
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.models.build import build_model
from cmml_tf.settings.base import Prepared, Setting
from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.whole_run import run_from_data_to_export
from cmml_tf.tasks.rating import RatingTask
from cmml_tf.types import Episode, Support

# ---------------------------------------------------------------------------------- the setting
ITEMS, SUPPORT, QUERY, ASKED = 200, 20, 30, 30


@dataclass(frozen=True)
class MoodConfig:
    run_dir: str
    export_dir: str
    model: ModelConfig
    training: TrainingConfig
    episode: int = 16  # tasks of a training step
    data, preset, seed, strategy, quick = "moods", "mean", 0, "none", False
    max_minutes = require = continue_from = None


class Moods:
    user_ids, item_ids, counts = np.array(["me"]), np.arange(ITEMS), {"items": ITEMS}
    tastes = np.random.default_rng(0).normal(size=(ITEMS, 4)).astype(np.float32)

    def sample(self, step, tasks, seed):
        mood = tf.random.stateless_normal([tasks, 4], [seed + 1, step])
        size = [tasks, SUPPORT + QUERY]
        item = tf.random.stateless_uniform(size, [seed, step], 0, ITEMS, tf.int32)
        like = tf.cast(tf.einsum("bnd,bd->bn", tf.gather(self.tastes, item), mood) > 0, tf.float32)
        (known, asked), (label, answer) = (tf.split(x, [SUPPORT, QUERY], 1) for x in (item, like))
        support = Support(known * 0, known, label, tf.fill([tasks], SUPPORT))
        return Episode(support, asked * 0, asked, answer)

    def fingerprint(self):
        return "moods"


class AskedMoods(list):
    def __len__(self):
        return ASKED

    def swapped(self, draw):
        others = [Support(*(np.roll(f, draw + 1, 0) for f in e.support)) for e in self]
        return AskedMoods([e._replace(support=o) for e, o in zip(self, others, strict=True)])

    def known(self):
        return {"users": 1.0, "items": 1.0}

    def fingerprint(self):
        return "thirty moods"


class MoodSetting(Setting):
    simple = Simple({"share": "share liked"}, in_curve=(), chance="share")
    words = ("moods", "moods"), "30 items", (16, "16 moods"), simple
    form = SettingForm("mood", "mood-", (Gain("right"),), ("right",), "right", *words, {}, None)

    def open(self, config, seed, earlier=None, whole=False):
        return Moods()

    def prepare(self, data, folder, config, seed):
        asked = data.sample(tf.constant(0, tf.int64), ASKED, seed + 10)
        return Prepared(data, None, AskedMoods([tf.nest.map_structure(np.asarray, asked)]))

    def build(self, recipe, prepared):
        tf.keras.utils.set_random_seed(recipe.seed)
        built = build_model(recipe.model, 1, ITEMS, 4, 4, task=RatingTask())
        built.pair_embedding.set_tables(np.ones([1, 4]), prepared.data.tastes)
        return built

    def sampler(self, model, prepared, episode, seed):
        return lambda step: prepared.data.sample(step, episode, seed)

    def evaluate(self, scorer, asked):
        (episode,) = asked
        adapted = scorer.adapt(episode.support)
        liked = scorer.score(adapted, episode.query_user, episode.query_item) > 0.5
        right = np.mean(liked == (episode.query_label > 0.5), axis=1)
        return TaskMetrics([*map(str, range(ASKED))], np.arange(ASKED), {"right": right})

    def simple_systems(self, prepared, names):
        return {"share": UserMean(ItemMeans(0.5, None))}


# --------------------------------------------------------------------------- the library with it


def test_a_setting_of_its_own_is_trained_judged_and_exported(tmp_path):
    model = ModelConfig("mean", 16, hyper_units=16, backbone_units=(16,))
    training = TrainingConfig(3e-3, steps_per_epoch=200, max_epochs=1)
    folders = (str(tmp_path / "run"), str(tmp_path / "export"))
    said = []
    run_from_data_to_export(MoodSetting(), MoodConfig(*folders, model, training), said.append, 0)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["meta_test"]["right"] > 0.75
    controls, gain = metrics["controls"], metrics["context_gain"]
    assert controls.keys() == {"share", "twin", "none", "swapped", "flipped"}
    assert controls["share"]["right"] < metrics["meta_test"]["right"]
    assert controls["flipped"]["right"] < 0.5
    assert gain["right"] > gain["interval"]
    assert any("30 held-out moods" in line and "better by its support" in line for line in said)
    loaded = tf.saved_model.load(metrics["export"])
    assert "score_with_context" in loaded.signatures


def test_the_setting_is_short():
    lines = Path(__file__).read_text().splitlines()
    first, last = (n for n, line in enumerate(lines) if line.startswith("# ---"))
    assert last - first < 80
