"""A training ends at the first loss that is no number, and says what to look at."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from models.every_preset import RATING_PRESETS
from training.small_run import POOLING, build, fit, planted

from cmml_tf.config import EpisodeConfig, TrainingConfig
from cmml_tf.config.rating import RatingEpisodeConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.episodes import EpisodeSampler, sampled_steps
from cmml_tf.episodes.rating_episodes import RatingEpisodeSampler
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.tasks.rating import RatingTask
from cmml_tf.training.checkpoint import restore_best_weights
from cmml_tf.training.fit import fit_model
from cmml_tf.training.history_log import read_history
from cmml_tf.types import Feature, FeatureColumn

MODEL = dataclasses.replace(POOLING, encoder_units=8, hyper_units=8, backbone_units=(8, 8))
TRAINING = TrainingConfig(steps_per_epoch=3, max_epochs=2)


@pytest.fixture(scope="module")
def data():
    return planted(meta_train=10, users_per_scenario=20, users=50, dimension=4).data


def _fit(data, folder, change=None, **changes):
    model = build(MODEL, data)
    if change is not None:
        change(model)
    training = dataclasses.replace(TRAINING, **changes)
    fit(model, data, None, training, folder)


def test_steps_that_are_too_large_are_named_with_step_and_rate(data, tmp_path):
    with pytest.raises(ValueError, match=r"The loss became (nan|inf)") as caught:
        _fit(data, tmp_path, learning_rate=1e30)
    sentence = str(caught.value)
    assert "at step 2 with a learning rate of 1e+30" in sentence
    assert "nothing was exported" in sentence
    assert "the user embeddings: the largest value is" in sentence
    assert "smaller `learning_rate`" in sentence
    # Nothing of it counts as an epoch.
    assert not list(tmp_path.rglob("ckpt-*"))
    assert not (tmp_path / "metrics.jsonl").exists()


def test_of_steps_that_are_one_call_all_are_named_and_what_was_whole_is_kept(data, tmp_path):
    """The second epoch is ruined by one of its steps, whose loss may look whole; the first was."""
    sampler = EpisodeSampler(data, EpisodeConfig(4, 8, 4, tasks_per_step=2), seed=0)

    def ruined(step):
        drawn = sampler.sample(step)
        label = tf.where(step == 13, np.inf, drawn.support.label)
        return drawn._replace(support=drawn.support._replace(label=label))

    model = build(MODEL, data)
    training = dataclasses.replace(TRAINING, steps_per_epoch=10)
    with pytest.raises(
        ValueError, match=r"became nan in one of the steps 11 to 20 with a learning"
    ):
        fit_model(
            model,
            lambda step: sampled_steps(ruined, step),
            None,
            "",
            training,
            tmp_path,
            verbose=0,
        )
    assert [row["epoch"] for row in read_history(tmp_path)] == [1]
    for part in ("latest", "best"):
        names = {file.name for file in (tmp_path / "checkpoints" / part).glob("ckpt-*.index")}
        assert names == {"ckpt-1.index"}
    restore_best_weights(model, tmp_path / "checkpoints")
    assert all(np.isfinite(weight).all() for weight in model.trainable_variables)


def _infinite_item(model):
    model.pair_embedding.item_table[7, 1].assign(np.inf)


def _huge_users(model):
    model.pair_embedding.user_table[5, 1].assign(3e38)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_infinite_item, "Row 7 of the item embeddings has NaN or infinite values."),
        (_huge_users, "the user embeddings: the largest value is 3e+38, in row 5."),
    ],
)
def test_the_input_that_is_the_cause_is_named(data, tmp_path, change, said):
    with pytest.raises(ValueError, match=r"The (loss|gradients) became") as caught:
        _fit(data, tmp_path, change, max_epochs=50)
    assert said in str(caught.value)


def test_weights_that_the_last_step_ruined_are_not_saved(data, tmp_path):
    """Its loss was computed with the weights before, and is finite."""
    with pytest.raises(ValueError, match=r"The loss was .*, but .* was NaN or inf behind step 1 "):
        _fit(data, tmp_path, learning_rate=float("inf"), steps_per_epoch=1, max_epochs=1)
    assert not list(tmp_path.rglob("ckpt-*"))


def test_a_feature_of_the_user_setting_is_named(tmp_path):
    year = np.linspace(-1, 1, 21, dtype=np.float32)
    year[3] = np.inf
    network = dataclasses.replace(RATING_PRESETS["cmml-film"].model.network, encoder_units=8)
    config = dataclasses.replace(RATING_PRESETS["cmml-film"].model, network=network)
    columns = [FeatureColumn(Feature("year", "numeric"), year)]
    model = build_rating_model(config, columns, [], users=8, task=RatingTask())
    items = np.tile(np.arange(20, dtype=np.int32), 8)
    users, starts = np.arange(8, dtype=np.int32), np.arange(9) * 20
    tasks = RatingTasks(users, starts, items, np.float32(items % 5 + 1))
    with pytest.raises(ValueError, match=r"Row 3 of the item feature year has NaN or infinite"):
        fit_model(
            model,
            lambda step: sampled_steps(
                RatingEpisodeSampler(tasks, 5, RatingEpisodeConfig(), 0).sample, step
            ),
            None,
            "",
            TRAINING,
            tmp_path,
            verbose=0,
        )
