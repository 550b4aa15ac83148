"""The ordinal model against NumPy: fold-in, neighbours, mixture, distribution and its answers."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from models.small_ordinal import CONFIG, ITEMS, USERS, ordinal

from cmml_tf.embeddings.ratings.ordinal_tables import RatingScale, fit_ordinal_tables, level_weights
from cmml_tf.layers.ordinal import levels as graph_levels
from cmml_tf.types import Episode, Support

SIZES = (1, *CONFIG.factor_sizes)
SUPPORT = [3, 7, 1, 12, 9, 4, 0]
QUERY = [2, 5, 14, 15]  # 14 is rated by nobody, 15 is no item at all


@pytest.fixture(scope="module")
def made():
    return ordinal()


def episode(user, rating, length, query=QUERY):
    """A task of one user whose support is the first `length` of SUPPORT."""
    item = np.array([SUPPORT])
    support = Support(
        tf.constant(np.full(item.shape, user), tf.int32),
        tf.constant(item, tf.int32),
        tf.constant([rating], tf.float32),
        tf.constant([length]),
    )
    items = tf.constant([query], tf.int32)
    return Episode(support, tf.fill(items.shape, user), items, tf.zeros(items.shape))


def reference(tables, model, user, rating, query):
    """The distribution of one query rating, float64 [L], from the definition."""
    scale = tables.scale
    rows, x = tables.item_rows.astype(np.float64), tables.user_priors[user].astype(np.float64)
    scaled = (np.array(rating) - scale.mean) / scale.deviation
    items = SUPPORT[: len(rating)]
    column, expected, deviation, first = 0, [], [], None
    for size, prior in zip(SIZES, np.split(x, np.cumsum(SIZES)[:-1]), strict=True):
        mean, v = rows[:, column], rows[:, column + 1 : column + 1 + size]
        noise = 1 / rows[0, column + 1 + size]
        covariance = np.linalg.inv(np.eye(size) + v[items].T @ v[items] / noise)
        m = covariance @ (prior + v[items].T @ (scaled - mean[items]) / noise)
        expected.append(mean[query] + v[query] @ m)
        deviation.append(np.sqrt(v[query] @ covariance @ v[query]))
        if first is None:
            first = mean + v @ m, m[0]
        column += size + 2
    count, above = rows[query, column], rows[query, column + 1 :]

    kept = range(max(0, len(items) - CONFIG.neighbours), len(items))
    w = np.exp(model.hybrid_context.log_weight.numpy())
    kernels = {"c": [], "square": [], "content": []}
    residuals = [scaled[j] - first[0][items[j]] for j in kept]
    for j in kept:
        i, k = tables.item_place[query], tables.item_place[items[j]]
        c = float(tables.kernel[i, k])
        content = float(tables.item_content[query] @ tables.item_content[items[j]])
        for name, value in zip(kernels, (c, c * c, content * content), strict=True):
            kernels[name].append(value)
    for name, weight in zip(("c", "c", "square", "content"), w, strict=True):
        total = np.dot(kernels[name], residuals) if kernels[name] else 0.0
        expected.append(first[0][query] + total / (np.sum(kernels[name]) + weight))
    n, levels = len(rating), scale.levels.astype(np.float64)
    given = np.array([[float(r == level) for level in levels] for r in rating]).reshape(
        n, len(levels)
    )
    own = (given.sum(axis=0) - n * scale.share) / (n + 4)
    known = [
        *deviation[1:],
        np.log1p(np.sum(kernels["c"])),
        np.log1p(n) / 3,
        1 / (1 + n),
        (np.log1p(count) - 4) / 2,
        first[1],
    ]
    h = np.clip(np.concatenate([expected, known, 4 * own, 4 * above]), -4, 4)
    part = model.recommender
    hidden = h
    for layer in part.mlp.dense_layers:
        kernel, bias = layer.get_weights()
        hidden = np.maximum(hidden @ kernel + bias, 0)

    def dense(layer):
        kernel, bias = layer.get_weights()
        return hidden @ kernel + bias

    middle = dense(part.weights_of) @ h[: len(expected)]
    level = (levels - scale.mean) / scale.deviation
    logits = -0.5 * np.exp(dense(part.precision_of)) * (level - middle) ** 2
    weights = np.exp(logits + dense(part.gains_of))
    return weights / weights.sum()


@pytest.mark.parametrize("length", [0, 2, 7])
def test_scores_are_those_of_the_definition(made, length):
    _, tables, model = made
    rating = [5, 1, 3, 2, 5, 1, 3]
    answers = model.answers(*_asked(model, episode(3, rating, length)))
    for place, query in enumerate(QUERY):
        p = reference(tables, model, 3, rating[:length], query)
        levels = tables.scale.levels
        assert float(answers["score"][0, place]) == pytest.approx(p @ levels, abs=2e-4)
        upto = np.cumsum(p)
        low, high = (levels[np.argmax(upto > share)] for share in (0.1, 0.9))
        assert float(answers["score_low"][0, place]) == low
        assert float(answers["score_high"][0, place]) == high
        assert low <= float(answers["score_median"][0, place]) <= high


def _asked(model, one):
    return model.encode_context(one.support), one.query_user, one.query_item


def test_what_lies_behind_the_length_is_never_read(made):
    model = made[-1]
    plain, odd = episode(3, [5, 1, 3, 2, 5, 1, 3], 2), episode(3, [5, 1, *[np.nan] * 5], 2)
    np.testing.assert_array_equal(model(plain), model(odd))


def test_a_user_of_training_reads_what_was_fitted_without_the_user():
    data, tables, model = ordinal(folds=2)
    rating = [5, 1, 3, 2, 5, 1, 3]
    user = 20
    group = int(tables.user_group[user])
    assert group > 0
    assert set(tables.user_group[data.meta_test.user]) == {0}
    key = model.pair_embedding(tf.constant([[user, 0]]), tf.constant([[4, 4]]))[0, :, 0]
    np.testing.assert_array_equal(key, [4 + group * (ITEMS + 1), 4])
    # The same model with the tables of that group alone.
    rows, size = slice(group * (ITEMS + 1), (group + 1) * (ITEMS + 1)), tables.kernel.shape[1]
    alone = tables._replace(
        item_rows=tables.item_rows[rows],
        item_place=tables.item_place[rows] - group * size,
        kernel=tables.kernel[group * size : (group + 1) * size],
    )
    for query, score in zip(QUERY, model(episode(user, rating, 7))[0], strict=True):
        p = reference(alone, model, user, rating, query)
        assert float(score) == pytest.approx(p @ tables.scale.levels, abs=2e-4)
    # Nothing of the group depends on the user's own ratings.
    log = data.log
    own, changed = np.repeat(log.user == user, log.lengths), log.rating.copy()
    changed[own] = changed[own][::-1]
    other = replace(data, log=replace(log, rating=changed))
    again = fit_ordinal_tables(other, CONFIG, seed=0, folds=2)
    np.testing.assert_array_equal(again.item_rows[rows], tables.item_rows[rows])
    assert (again.item_rows[: ITEMS + 1] != tables.item_rows[: ITEMS + 1]).any()


def test_training_lowers_the_loss():
    _, _, model = ordinal(folds=2)
    rng = np.random.default_rng(3)
    user = tf.constant(rng.integers(8, USERS, (16, 1)), tf.int32)
    S, Q = len(SUPPORT), len(QUERY)
    label = tf.constant(rng.choice([1.0, 2.0, 3.0, 5.0], (16, S + Q)), tf.float32)
    item = tf.constant(rng.integers(0, ITEMS, (16, S + Q)), tf.int32)
    support = Support(tf.repeat(user, S, 1), item[:, :S], label[:, :S], tf.fill([16], S))
    batch = Episode(support, tf.repeat(user, Q, 1), item[:, S:], label[:, S:])
    model.compile(optimizer=tf.keras.optimizers.Adam(0.02))
    step = tf.function(model.train_step, autograph=False)
    losses = [float(step(batch)["loss"]) for _ in range(30)]
    assert losses[-1] < losses[0] - 0.2


def test_a_saved_model_scores_the_same(made, tmp_path):
    model = made[-1]
    one = episode(2, [5, 1, 3, 2, 5, 1, 3], 6)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(one), loaded(one))


LEVELS = [1.0, 2.0, 3.0, 5.0]


def test_the_median_is_that_of_grouped_data():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.5] * 4, 50).astype(np.float32)
    edges = np.array([0.5, 1.5, 2.5, 4.0, 6.0])
    upto = np.concatenate([np.zeros((50, 1)), np.cumsum(p, axis=1)], axis=1)
    expected = [np.interp(0.5, one, edges) for one in upto]
    found = graph_levels.median_level(tf.constant(p), LEVELS)
    np.testing.assert_allclose(found, np.clip(expected, 1, 5), atol=1e-4)


def test_intervals_leave_no_more_than_a_tenth_outside_on_either_side():
    p = np.random.default_rng(0).dirichlet([0.5] * 4, 200).astype(np.float32)
    low, high = graph_levels.level_interval(tf.constant(p), LEVELS).numpy().T
    levels = np.array(LEVELS)
    below = (p * (levels < low[:, None])).sum(axis=1)
    above = (p * (levels > high[:, None])).sum(axis=1)
    assert max(below.max(), above.max()) <= 0.1 + 1e-5
    # A narrower one would leave more.
    assert ((p * (levels <= low[:, None])).sum(axis=1) >= 0.1 - 1e-5).all()
    assert ((p * (levels >= high[:, None])).sum(axis=1) >= 0.1 - 1e-5).all()


def test_ratings_between_levels_are_shared_by_them():
    ratings = np.array([1.0, 1.25, 4.0, 5.0], np.float32)
    ours = graph_levels.level_weights(tf.constant(ratings), LEVELS)
    np.testing.assert_allclose(ours, level_weights(ratings, np.array(LEVELS)), atol=1e-6)
    np.testing.assert_allclose(ours @ np.array(LEVELS)[:, None], ratings[:, None], atol=1e-6)


def test_a_scale_of_many_ratings_has_21_levels():
    scale = RatingScale.of(np.linspace(0, 100, 1000).astype(np.float32))
    np.testing.assert_allclose(scale.levels, np.arange(0, 101, 5))
    assert scale.share.sum() == pytest.approx(1)
