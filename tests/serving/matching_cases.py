"""A small model that matches by key, with content, and requests to it."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.content.encoder import fit_content
from cmml_tf.layers.learned_number import REACH
from cmml_tf.layers.matching.matching import Matching
from cmml_tf.layers.matching.row_tables import RowTables
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.serving.content_graph import ServedContent, SideContent
from cmml_tf.types import ContentColumn, Support

USERS, ITEMS, DIMENSION, STATISTICS = 6, 9, 3, 2
USER_IDS = [70, 10, -3, 40, 9_000_000_000, 0]
ITEM_IDS = [f"film {letter} ü" for letter in "abcdefghi"]
GENRES = ("War", "Drama", "Comedy")


class Matched(NamedTuple):
    """A model whose every weight is random, its encoders, and the maps that extend its tables."""

    model: MatchingCMML
    content: ServedContent


def matching_model(seed=0, items=ITEMS):
    tf.keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    tables = RowTables(USERS, items, DIMENSION + 1, DIMENSION + 1 + STATISTICS)
    model = MatchingCMML(tables, Matching(DIMENSION, taste_features=2, units=4))
    model.build_parts()
    taste, others = model.matching.scenario_taste, np.random.default_rng(seed + 1)
    # Where a taste begins, and what known items are worth, moved by .3 as well, of which a tenth
    # is stored.
    known = model.matching.count_posterior.log_known
    start = {one.ref() for one in (taste.shown, taste.log_shown, taste.clicking, known)}
    for variable in model.trainable_variables:
        # One number for a sum over d is moved as much as d numbers would move the sum.
        of_sum = variable is model.matching.norm_scale
        if variable.ref() in start:
            moved = others.normal(0, 0.3 / REACH, variable.shape)
        else:
            moved = rng.normal(0, 0.3, DIMENSION if of_sum else variable.shape)
        variable.assign_add(moved.mean() if of_sum else moved)
    tables.set_tables(
        rng.normal(size=(USERS, tables.user_width)), rng.normal(size=(items, tables.item_width))
    )
    item_content = fit_content(
        [
            ContentColumn("genre", "categorical", objects(rng.choice(GENRES, ITEMS))),
            # Sorted by name, as inputs of a graph are, it stands before `id`.
            ContentColumn("cover", "vector", rng.normal(size=(ITEMS, 2)).astype(np.float32)),
        ]
    )
    user_content = fit_content([ContentColumn("age", "numeric", rng.uniform(18, 60, USERS))])
    content = ServedContent(
        *(
            SideContent(encoder, rng.normal(size=(encoder.dimension + 1, width)))
            for encoder, width in (
                (user_content, tables.user_width),
                (item_content, tables.item_width),
            )
        )
    )
    return Matched(model, content)


def objects(values):
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array


def key_of(ids, known):
    """Keys of ids by another rule than the graph's: only what is equal is equal."""
    others = sorted({one for one in np.ravel(ids) if one not in known}, key=str)
    keys = {one: row for row, one in enumerate(known)}
    return keys | {one: 10**12 + place for place, one in enumerate(others)}


def keys_of(request, user_ids, item_ids):
    """The support, and the query's users and items, as the model takes them."""
    found = {}
    for side, known in (("user", user_ids), ("item", item_ids)):
        names = [f"{part}_{side}_id" for part in ("support", "query")]
        keys = key_of(np.concatenate([request[name].ravel() for name in names]), known)
        for name in names:
            rows = np.vectorize(keys.get, otypes=[np.int64])(request[name])
            found[name] = tf.constant(rows)
    support = Support(
        found["support_user_id"],
        found["support_item_id"],
        tf.constant(request["support_label"]),
        tf.constant(request["support_length"]),
    )
    return support, found["query_user_id"], found["query_item_id"]


def expected_scores(model, request, user_ids=USER_IDS, item_ids=ITEM_IDS):
    """What the model itself says of a request by id, unknown ids told apart."""
    support, user, item = keys_of(request, user_ids, item_ids)
    return model.score_with_context(model.encode_context(support), user, item).numpy()


def request_of(B=2, S=7, Q=5, seed=0, users=(*USER_IDS, 5, -1, -4), items=None):
    """Known, unknown and mixed pairs; supports of different lengths."""
    items = [*ITEM_IDS, "new a", "new b", ""] if items is None else items
    rng = np.random.default_rng(seed)
    return {
        "support_user_id": rng.choice(users, (B, S)),
        "support_item_id": rng.choice(items, (B, S)),
        "support_label": rng.integers(0, 2, (B, S)).astype(np.float32),
        "support_length": rng.integers(0, S + 1, B).astype(np.int32),
        "query_user_id": rng.choice(users, (B, Q)),
        "query_item_id": rng.choice(items, (B, Q)),
    }
