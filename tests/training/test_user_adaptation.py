"""Planted users: each has a level of its own and likes one of two kinds of films."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from models.every_preset import RATING_PRESETS

from cmml_tf.config import TrainingConfig
from cmml_tf.config.rating import RatingEpisodeConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.episodes import sampled_steps
from cmml_tf.episodes.asked.asked_users import AskedUsers
from cmml_tf.episodes.asked.user_curve import UserCurve
from cmml_tf.episodes.rating_episodes import RatingEpisodeSampler
from cmml_tf.evaluation.rating import evaluate_ratings, predicted_ratings
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.tasks.rating import RatingTask
from cmml_tf.training.fit import fit_model
from cmml_tf.types import Feature, FeatureColumn

ITEMS, RATED, QUERY = 40, 50, 10
KIND = np.arange(ITEMS) % 2
QUALITY = np.linspace(-1.0, 1.0, 4)[np.arange(ITEMS) // 2 % 4]
LENGTHS = (0, 1, 2, 5, 10, 20, 40)


def column(name, values):
    words = tuple(map(str, range(values.max() + 1)))
    rows = np.append(values, len(words)).astype(np.int32)
    return FeatureColumn(Feature(name, "categorical", words), rows)


def planted(users, seed):
    """Rating = 5 + quality + the user's level + 0.8 for the kind that is liked, else -0.8."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 0.8, [users, 1])
    likes = rng.integers(0, 2, [users, 1])
    item = rng.integers(0, ITEMS, [users, RATED])
    taste = np.where(KIND[item] == likes, 0.8, -0.8)
    rating = 5 + QUALITY[item] + level + taste + rng.normal(0, 0.3, item.shape)
    starts = np.arange(users + 1) * RATED
    flat = item.ravel().astype(np.int32), rating.ravel().astype(np.float32)
    return RatingTasks(np.zeros(users, np.int32), starts, *flat)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    preset = RATING_PRESETS["cmml-film-prior"].model
    network = replace(preset.network, encoder_units=32, hyper_units=32, backbone_units=(32, 32))
    config = replace(preset, network=network, feature_dimension=8, label_units=16)
    items = [column("kind", KIND), column("year", np.arange(ITEMS) // 2 % 4)]
    model = build_rating_model(config, items, [], task=RatingTask(), gradient_clip=10.0)
    model.recommender.output_layer.bias.assign([5.0])
    tasks, episode = planted(300, seed=1), RatingEpisodeConfig(short_supports=0.3)
    fit_model(
        model,
        lambda step: sampled_steps(RatingEpisodeSampler(tasks, QUERY, episode, 0).sample, step),
        None,
        "",
        TrainingConfig(learning_rate=5e-3, weight_average=0.98, steps_per_epoch=400, max_epochs=1),
        tmp_path_factory.mktemp("fit"),
        verbose=0,
    )
    return predicted_ratings(ModelScorer(model))


def _asked():
    return AskedUsers.of(planted(200, seed=2), QUERY, np.array(["everyone"]))


def test_the_more_ratings_are_known_the_better_and_none_is_sensible(trained):
    curve = UserCurve(_asked(), draws=1)
    error = [evaluate_ratings(trained, curve.tasks(n, 0)).means()["mae"] for n in LENGTHS]
    assert error == sorted(error, reverse=True), error
    # The best that can be said of anyone: the film's quality.
    known = [5 + QUALITY[e.query_item] - e.query_label for e in _asked()]
    assert error[0] < 1.1 * np.abs(np.concatenate(known)).mean()
    assert error[-1] < 0.5 * error[0]


def test_another_users_ratings_mislead(trained):
    asked = _asked()
    own, other = (evaluate_ratings(trained, one) for one in (asked, asked.swapped(0)))
    gain = other.gain_over(own, "mae")
    assert gain.mean > 5 * gain.half_width
