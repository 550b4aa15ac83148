"""A new user's request: adaptation to 90 ratings and scores of 10 or 100 items, by features.

MeLU stands beside the presets with one gradient step, as its code adapts, and with five.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.timing import cpu_seconds
from cmml_tf.baselines.build_rating import build_rating_baseline
from cmml_tf.config import override
from cmml_tf.config.baselines import RATING_BASELINES
from cmml_tf.datasets.features import RawFeature, build_columns
from cmml_tf.experiments.forms import FORMS
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.types import Episode, Support

_RATINGS, _ITEMS, _USERS = 90, 4000, 100
_PRESETS = ("cmml-film", "cmml-film-prior", "cmml-soft-m", "cmml-linear", "ridge")
# Values of each feature in MovieLens-1M, and how many an item has.
_ITEM = {"rate": (6, 1), "genre": (25, 3), "director": (2186, 1), "actor": (8030, 4)}
_USER = {"gender": (2, 1), "age": (7, 1), "occupation": (21, 1), "zip": (3402, 1)}


def measure(rounds: int) -> dict[str, Any]:
    """Milliseconds of CPU of one request, by preset and number of items."""
    rng = np.random.default_rng(0)
    items, users = movielens_columns(rng)
    models = {}
    for name in _PRESETS:
        config = FORMS["user"].options.presets[name].model
        models[name] = build_rating_model(
            config, items if config.kind == "ridge" else items[1:], users
        )
    melu = RATING_BASELINES["melu"].model
    for steps in (1, 5):
        stepping = override(melu, {"steps": steps})
        models[f"melu, steps {steps}"] = build_rating_baseline(stepping, items[1:], users)
    calls = {
        f"{name}, {asked} items": user_request(model, asked, rng)
        for name, model in models.items()
        for asked in (10, 100)
    }
    measured = cpu_seconds(calls, rounds, 50)
    return {name: round(1000 * seconds, 3) for name, seconds in measured.items()}


def movielens_columns(rng: np.random.Generator) -> tuple[tuple, tuple]:
    """Random items (their id first) and users with features as MovieLens-1M has them."""
    return _columns(_ITEM, _ITEMS, rng, with_id=True), _columns(_USER, _USERS, rng)


def _columns(
    sizes: dict[str, tuple[int, int]], rows: int, rng: np.random.Generator, with_id: bool = False
) -> tuple:
    ids = list(range(rows))
    raw = [RawFeature("id", "id", {row: str(row) for row in ids})] if with_id else []
    for name, (values, members) in sizes.items():
        drawn = rng.integers(0, values, [rows, members]).astype(str)
        if name in ("genre", "director", "actor"):
            raw.append(RawFeature(name, "multi-hot", {row: tuple(drawn[row]) for row in ids}))
        else:
            raw.append(RawFeature(name, "categorical", {row: drawn[row, 0] for row in ids}))
    return build_columns("item" if with_id else "user", raw, ids, list(map(str, ids)))


def user_request(model: Any, asked: int, rng: np.random.Generator) -> Any:
    """One graph call: adaptation to a random user's ratings and scores of random items."""
    item = tf.constant(rng.integers(0, _ITEMS, [1, _RATINGS]), tf.int32)
    rating = tf.constant(rng.integers(1, 6, [1, _RATINGS]), tf.float32)
    support = Support(tf.zeros_like(item), item, rating, tf.constant([_RATINGS]))
    query = tf.constant(rng.integers(0, _ITEMS, [1, asked]), tf.int32)
    label = tf.zeros(query.shape)
    episode = Episode(support, tf.zeros_like(query), query, label)
    score = tf.function(model.__call__).get_concrete_function(episode)
    flat = tf.nest.flatten(episode)
    return lambda: score(*flat).numpy()
