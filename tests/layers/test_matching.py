"""Matching against a NumPy reference that loops over tasks, queries and pairs."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.layers.learned_number import REACH
from cmml_tf.layers.matching.item_fold_in import ItemFoldIn
from cmml_tf.layers.matching.item_posterior import ClickerPosterior, CountPosterior
from cmml_tf.layers.matching.item_view import ItemTower, ItemView
from cmml_tf.layers.matching.keys import floats_to_key, key_to_floats, matches
from cmml_tf.layers.matching.matching import Matching
from cmml_tf.layers.matching.own_clicks import OwnClicks
from cmml_tf.layers.matching.query_pairs import columns
from cmml_tf.layers.matching.row_tables import RowTables
from cmml_tf.layers.matching.scenario_taste import ScenarioTaste
from cmml_tf.layers.matching.support_groups import SupportGroups
from cmml_tf.layers.matching.user_votes import UserVotes
from cmml_tf.layers.step_noise import StepDropout, StepNoise, training_step
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.types import Episode, Support

D, ROW = 4, 11
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def perturbed(layer: tf.keras.layers.Layer, *shapes: list) -> tf.keras.layers.Layer:
    layer.build(*shapes)
    for weight in layer.trainable_weights:
        weight.assign_add(0.1 * normal(*weight.shape))
    return layer


def model() -> MatchingCMML:
    made = MatchingCMML(RowTables(20, 30, D + 1, ROW, sampled=8), Matching(D))
    made.build()
    made.tables.set_tables(normal(20, D + 1), normal(30, ROW))
    for weight in made.trainable_weights:
        weight.assign_add(0.1 * normal(*weight.shape))
    return made


def task(size: int = 12) -> tuple[Support, np.ndarray, np.ndarray]:
    support = Support(
        RNG.integers(-2, 22, (1, size)),
        RNG.integers(-2, 32, (1, size)),
        RNG.integers(0, 2, (1, size)).astype(np.float32),
        np.array([size], np.int32),
    )
    user, item = RNG.integers(0, 20, (1, 6)), RNG.integers(0, 30, (1, 6))
    user[:, 0], item[:, 1] = support.user[:, 0], support.item[:, 0]
    return support, user, item


@pytest.mark.parametrize("key", [0, 1, -1, 2**24, 2**62 + 12345, -(2**63), 2**63 - 1])
def test_a_key_passes_through_floats_unchanged(key):
    keys = tf.constant(key, tf.int64)
    assert int(floats_to_key(key_to_floats(keys))) == key


def test_matches_are_equal_keys():
    found = matches(
        tf.constant([[1, 2**40]], tf.int64),
        tf.constant([[2**40, 1, 1]], tf.int64),
    )
    assert found.numpy().tolist() == [[[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]]


def test_groups_sum_over_the_pairs_of_the_same_item_in_the_same_task():
    key = np.array([[5, 3, 5, 3, 9], [5, 5, 5, 1, 1]])
    values = normal(2, 5, 3)
    sums = SupportGroups(tf.constant(key, tf.int64)).sums(tf.constant(values)).numpy()
    for b, s in np.ndindex(2, 5):
        np.testing.assert_allclose(sums[b, s], values[b, key[b] == key[b, s]].sum(0), rtol=1e-5)


def test_sums_of_a_group_are_found_by_its_key_and_are_zero_where_there_is_none():
    keys = np.array([[5, 3, 5, -(2**63), 2**63 - 1], [5, 5, 5, 1, 1]])
    asked = np.array([[3, 5, 4, 2**63 - 1, -(2**63), 0], [1, 5, 3, 2**63 - 1, -(2**63), 6]])
    values = normal(2, 5, 3)
    for size in (5, 0):
        groups = SupportGroups(tf.constant(keys[:, :size], tf.int64), tf.constant(asked))
        sums = groups.group_sums(tf.constant(values[:, :size]))
        found = tf.gather(sums, groups.group_asked)
        for b, q in np.ndindex(*asked.shape):
            same = keys[b, :size] == asked[b, q]
            expected = values[b, :size][same].sum(axis=0)
            np.testing.assert_allclose(found[b, q], expected, atol=1e-6)


@pytest.mark.parametrize("size", [12, 0])
def test_many_items_of_one_user_score_as_their_pairs(size):
    made = model()
    first, second = task(12), task(12)
    support = Support(*(np.concatenate(pair) for pair in zip(first[0], second[0], strict=True)))
    support = Support(*(field[:, :size] for field in support[:3]), np.int32([size, size // 2]))
    adapted = made.adapt(Support(*map(tf.constant, support)))
    # Known and unknown ones, with own pairs in the support and without.
    user = np.array([first[0].user[0, 0], -7])
    item = np.concatenate([np.arange(-2, 32), [2**40]])[None].repeat(2, axis=0)
    users = np.repeat(user[:, None], item.shape[1], axis=1)
    found = made.score_of_user(adapted, tf.constant(user), tf.constant(item))
    expected = made.score_adapted(adapted, tf.constant(users), tf.constant(item))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    apart = made.score_of_user(adapted, tf.constant(user), tf.constant(item), named=False)
    named = np.array([np.isin(item[b], support.item[b, : support.length[b]]) for b in range(2)])
    np.testing.assert_allclose(apart[~named], expected[~named], atol=1e-5)
    assert not size or np.abs((apart - expected)[named]).min() > 0
    # Items apart from the support, and those of its pairs behind them.
    both = made.score_with_support(adapted, tf.constant(user), tf.constant(item[:, :3]))
    np.testing.assert_allclose(both[:, :3], apart[:, :3], atol=1e-6)
    users = np.repeat(user[:, None], size, axis=1)
    own = made.score_adapted(adapted, tf.constant(users), tf.constant(support.item))
    np.testing.assert_allclose(both[:, 3:], own, atol=1e-5)


@pytest.mark.parametrize(("refused", "far"), [(True, False), (False, False), (True, True)])
def test_taste_is_two_newton_steps_over_clicks_and_reference(refused, far):
    tower = perturbed(ItemTower(D, features=3, products=2), [None, ROW])
    taste = perturbed(ScenarioTaste(D, products=2), [None, None, 3 + D])
    rows, catalogue, users = normal(1, 6, ROW), normal(5, ROW), normal(1, 6, 2)
    if far:  # clicks of three items tell a strong taste
        rows, catalogue = 4.0 * rows, 4.0 * catalogue
    clicks = np.array([[1, 1, 0, 1, 0, 0]], np.float32)
    named = np.array([[1, 0.5, 1, 0.5, 1, 0]], np.float32)
    if not refused:
        named *= clicks
    clicking = normal(1, D)
    view, reference = tower(rows), tower(catalogue)
    found = taste(view, users, clicks[..., None], named[..., None], reference, clicking)

    each = np.exp(REACH * taste.log_catalogue.numpy()) / 5
    base = np.r_[view.base[0, :, 0], reference.base[:, 0]]
    liked = np.r_[named[0], np.full(5, each)] * np.exp(base)
    weight = liked / liked.sum()
    h, p = np.r_[view.taste[0], reference.taste], np.r_[view.product[0], reference.product]
    left, right = np.zeros((3 + D + 2, 3 + D + 2)), np.zeros(3 + D + 2)
    of_clicks = np.flatnonzero(clicks[0])
    for s in of_clicks:
        x = np.c_[h, users[0, s] * p]
        mean = weight @ x
        left += (x - mean).T @ (weight[:, None] * (x - mean))
        right += x[s] - mean
    trust = 1 / (1 + 3 * np.exp(-REACH * taste.log_clicks.numpy()))
    precision = np.exp(REACH * taste.log_precision.numpy())
    factors, catalogue_mean = view.taste[0, :, 3:].numpy(), (liked[6:] @ h[6:]) / liked[6:].sum()
    shown = named[0] @ (factors - catalogue_mean[3:])
    shown /= named.sum() + np.exp(REACH * taste.log_shown.numpy())
    start = np.r_[np.zeros(3), REACH * taste.clicking * clicking[0], taste.product_mean]
    start[3 : 3 + D] += REACH * taste.shown.numpy() * shown * refused
    w = np.linalg.solve(trust * left + np.diag(precision), trust * right + precision * start)
    np.testing.assert_allclose(found.product_weight[0], w[3 + D :], rtol=1e-3, atol=1e-4)

    mean_user = users[0, of_clicks].mean(axis=0)
    leaning = np.c_[h - catalogue_mean, mean_user * (p - liked[6:] @ p[6:] / liked[6:].sum())] @ w
    assert not far or (np.abs(leaning) > 4).any()
    toward = liked * np.exp(np.clip(leaning, -4, 4))
    toward /= toward.sum()
    w, precision, start = w[: 3 + D], precision[: 3 + D], start[: 3 + D]
    left = 3 * trust * (h - toward @ h).T @ (toward[:, None] * (h - toward @ h))
    slope = trust * sum(h[s] - toward @ h for s in of_clicks) + precision * (start - w)
    w = w + np.linalg.solve(left + np.diag(precision), slope)
    np.testing.assert_allclose(found.weight[0], w, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.center[0, 0], weight @ (base + h @ w), rtol=1e-3)


def test_without_a_support_the_taste_is_what_is_expected_of_any_scenario():
    taste = perturbed(ScenarioTaste(D, products=2), [None, None, 3 + D])
    catalogue = ItemTower(D, features=3, products=2)(normal(5, ROW))
    nothing = ItemView(*(tf.zeros([2, 0, width]) for width in (1, 3 + D, D, 2, 1)))
    users, clicks = tf.zeros([2, 0, 2]), tf.zeros([2, 0, 1])
    found = taste(nothing, users, clicks, clicks, catalogue, tf.zeros([2, D]))
    np.testing.assert_allclose(found.weight, np.zeros((2, 3 + D)), atol=1e-6)
    np.testing.assert_allclose(found.product_weight, [taste.product_mean.numpy()] * 2, rtol=1e-5)


def test_what_is_shown_moves_the_taste_before_anybody_has_clicked():
    tower = perturbed(ItemTower(D, features=3, products=2), [None, ROW])
    taste = perturbed(ScenarioTaste(D, products=2), [None, None, 3 + D])
    view, reference = tower(normal(1, 6, ROW)), tower(normal(5, ROW))
    clicks, named = np.zeros((1, 6, 1), np.float32), np.ones((1, 6, 1), np.float32)
    found = taste(view, normal(1, 6, 2), clicks, named, reference, tf.zeros([1, D]))
    weight = np.exp(reference.base)
    mean = (weight * reference.taste[:, 3:]).numpy().sum(axis=0) / weight.sum()
    shown = (view.taste[0, :, 3:].numpy() - mean).sum(axis=0)
    shown *= REACH * taste.shown.numpy() / (6 + np.exp(REACH * taste.log_shown.numpy()))
    np.testing.assert_allclose(found.weight[0], np.r_[np.zeros(3), shown], rtol=1e-4, atol=1e-5)


def test_counts_are_added_to_what_was_expected():
    layer = perturbed(CountPosterior(), [None, None, 2])
    prior, evidence = normal(1, 4, 1), normal(1, 4, 2)
    count, known = (
        np.array(of_item, np.float32)[None, :, None]
        for of_item in ([0.0, 1.0, 7.0, 1.0], [1.0, 1.0, 1.0, 0.0])
    )
    log_k = layer.log_strength.numpy() + layer.log_known.numpy() * known
    k = np.exp(REACH * log_k + layer.strength(layer.hidden(evidence)).numpy())
    expected = np.log(np.exp(prior) + count / k)
    np.testing.assert_allclose(layer(prior, count, known, evidence), expected, rtol=1e-4)


def test_an_item_without_a_click_keeps_its_prior_however_much_that_is_worth():
    layer = perturbed(CountPosterior(), [None, None, 2])
    layer.log_known.assign(0.5)
    prior, known = normal(1, 4, 1), np.array([[[1.0], [0.0], [1.0], [0.0]]], np.float32)
    found = layer(prior, np.zeros_like(prior), known, normal(1, 4, 2))
    np.testing.assert_allclose(found, prior, rtol=1e-6)


def test_an_item_is_folded_in_from_its_takers():
    layer = perturbed(ClickerPosterior(), [None, None, D])
    v, takers, count = normal(1, 2, D), normal(1, 2, D), np.array([[[0.0], [3.0]]], np.float32)
    k = np.exp(layer.log_prior_count.numpy())
    expected = (k * v + takers) / (k + count)
    np.testing.assert_allclose(layer(v, takers, count), expected, rtol=1e-5)


def test_least_squares_fold_an_item_in_from_who_took_it_and_who_did_not():
    layer = perturbed(ItemFoldIn(), [None, None, D])
    layer.log_precision.assign_sub(5.0 * np.ones(D + 1, np.float32))  # so that clicks tell
    users, asked, v = normal(1, 6, D), normal(1, 3, D), normal(1, 3, D)
    clicks = np.array([[1, 1, 1, 1, 1, 0]], np.float32)[..., None]
    taken = [[], [0], [1, 3, 4]]  # support pairs of each item
    counts = np.array([[[len(one)] for one in taken]], np.float32)
    takers = [np.r_[2.0 * len(one), users[0, one].sum(axis=0)] for one in taken]
    takers = np.stack([takers]).astype(np.float32)
    found = layer(layer.inverse(users, clicks), asked, v, takers, counts).numpy()[0, :, 0]

    a, p = (np.exp(REACH * one.numpy()) for one in (layer.log_confidence, layer.log_others))
    penalty = np.diag(np.exp(layer.log_precision.numpy()))
    x = np.c_[np.full(6, 2.0), users[0]]
    for q, one in enumerate(taken):
        mean = np.r_[0.0, layer.prior_scale.numpy() * v[0, q]]
        left = p * x[:5].T @ x[:5] + penalty
        right = (1 + a) * x[one].sum(axis=0) + penalty @ mean
        if one:  # each of several takers is taken for their mean
            left += a * len(one) * np.outer(x[one].mean(axis=0), x[one].mean(axis=0))
        expected = np.r_[2.0, asked[0, q]] @ np.linalg.solve(left, right)
        np.testing.assert_allclose(found[q], expected, rtol=1e-3, atol=1e-4)


def test_a_user_moves_towards_what_the_user_clicked_in_the_support():
    layer = perturbed(OwnClicks(), [None, None, D])
    user, moved = normal(1, 2, D), normal(1, 2, D)
    count = np.array([[[2.0], [5.0]]], np.float32)
    step = layer.step.numpy() / (1 + count * np.exp(-REACH * layer.log_enough.numpy()))
    np.testing.assert_allclose(layer(user, moved, count), user + moved * step, rtol=1e-4)


def test_votes_count_takers_by_how_much_they_are_like_the_user():
    layer = perturbed(UserVotes(), [None, None, D])
    user, others = normal(1, 2, D), normal(1, 3, D)
    user[0, 1] = 0
    clicks = np.array([[1, 1, 0]], np.float32)
    matched = np.array([[[1, 0, 0], [1, 1, 0]]], np.float32)
    scale, k = layer.scale.numpy(), np.exp(REACH * layer.log_prior_count.numpy())
    cosine = (user[0, 0] * scale) @ (others[0] * scale).T
    cosine /= np.linalg.norm(user[0, 0] * scale) * np.linalg.norm(others[0] * scale, axis=1)
    sharpness = 24 / (1 + np.exp(-REACH * layer.sharpness.numpy()))
    alike = np.exp(sharpness * cosine)
    votes = alike[0] / alike[:2].mean()
    pairs = SimpleNamespace(
        clicked=lambda pairs: pairs,
        users=lambda users: users,
        as_given=lambda values: values,
        on_item=lambda values: tf.reduce_sum(tf.transpose(values, [0, 2, 1]) * matched, 2)[
            ..., None
        ],
    )
    count = matched.sum(axis=-1, keepdims=True)
    found = layer(user, others, clicks[..., None], pairs, count).numpy()[0, :, 0]
    np.testing.assert_allclose(found[0], np.log((votes + k) / (1 + k)), rtol=1e-4)
    assert abs(found[1]) < 1e-5  # a user of whom nothing is known


def test_only_which_ids_are_equal_matters_where_no_table_knows_them():
    made = model()
    support, user, item = task()
    unknown = support._replace(user=support.user + 1000, item=support.item + 1000)
    renamed = unknown._replace(user=unknown.user + 2**61, item=-unknown.item)
    scores = made.score_with_context(made.encode_context(unknown), user + 1000, item + 1000)
    again = made.score_with_context(made.encode_context(renamed), user + 1000 + 2**61, -item - 1000)
    np.testing.assert_allclose(scores, again, rtol=1e-5, atol=1e-5)
    assert np.unique(np.round(scores.numpy(), 4)).size > 1  # one of them was taken


def test_order_and_padding_of_the_support_change_nothing():
    made = model()
    support, user, item = task()
    expected = made.score_with_context(made.encode_context(support), user, item)
    order = RNG.permutation(12)
    padded = Support(
        *(np.pad(part[:, order], ((0, 0), (0, 3)), constant_values=7) for part in support[:3]),
        support.length,
    )
    padded.label[:, 12:] = np.nan
    context = made.encode_context(padded)
    np.testing.assert_allclose(
        made.score_with_context(context, user, item), expected, rtol=1e-4, atol=1e-4
    )
    wider = tf.pad(made.encode_context(support), [[0, 0], [0, 5 * (6 + 2 + 2 * D)]])
    np.testing.assert_allclose(
        made.score_with_context(wider, user, item), expected, rtol=1e-5, atol=1e-5
    )


def test_an_empty_support_scores_finitely_whatever_fills_it():
    made = model()
    support, user, item = task()
    empty = support._replace(length=np.array([0], np.int32))
    none = Support(*(part[:, :0] for part in support[:3]), np.array([0], np.int32))
    scores = made.score_with_context(made.encode_context(empty), user, item)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(
        made.score_with_context(made.encode_context(none), user, item), scores, rtol=1e-5
    )


def test_a_grid_of_users_and_items_scores_as_its_pairs():
    made = model()
    supports, users, items = zip(*(task() for _ in range(2)), strict=True)
    users, items = np.concatenate(users)[:, :4], np.concatenate(items)
    adapted = made.adapt(Support(*map(np.concatenate, zip(*supports, strict=True))))
    grid = made.score_grid(adapted, users, items)
    pairs = np.repeat(users, 6, axis=1), np.tile(items, (1, 4))
    expected = made.score_adapted(adapted, *pairs)
    np.testing.assert_allclose(grid, np.reshape(expected, [2, 4, 6]), rtol=1e-4, atol=1e-5)


def test_users_of_a_query_stand_for_all_of_their_items():
    made = model()
    support, users, items = task()
    items = np.concatenate([items, items[:, ::-1], items + 1], axis=1)
    label = np.zeros(items.shape, np.float32)
    scores = made(Episode(support, users, items, label))
    expected = made(Episode(support, np.tile(users, (1, 3)), items, label))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_a_model_of_the_same_configuration_and_weights_scores_the_same():
    made = model()
    support, user, item = task()
    copy = MatchingCMML.from_config(made.get_config())
    copy.set_weights(made.get_weights())
    expected = made.score_with_context(made.encode_context(support), user, item)
    np.testing.assert_array_equal(
        copy.score_with_context(copy.encode_context(support), user, item), expected
    )


def test_without_a_correction_the_same_is_added_up_as_before_one():
    corrected, user, item = model(), *task()[1:]
    corrected.matching.correction.kernel.assign(tf.zeros_like(corrected.matching.correction.kernel))
    plain = MatchingCMML(RowTables(20, 30, D + 1, ROW, sampled=8), Matching(D, units=0))
    plain.build()
    plain.set_weights([one.numpy() for one in corrected.weights if "correction" not in one.name])
    support = task()[0]
    expected = corrected.score_with_context(corrected.encode_context(support), user, item)
    found = plain.score_with_context(plain.encode_context(support), user, item)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_rows_that_are_given_count_as_those_of_the_table():
    made = model()
    support = task()[0]
    rows = [made.tables.user_rows(support.user), made.tables.item_rows(support.item)]
    adapted = made.adapt_rows(support.user, support.item, *rows, support.label, support.length)
    np.testing.assert_array_equal(made.context_of(adapted), made.encode_context(support))


def test_in_training_the_factors_of_asked_items_are_noisy_and_nothing_else():
    made = MatchingCMML(RowTables(20, 30, D + 1, ROW), Matching(D, dropout=0.0, item_noise=0.5))
    made.build()
    made.tables.set_tables(normal(20, D + 1), normal(30, ROW))
    for weight in made.trainable_weights:
        weight.assign_add(0.1 * normal(*weight.shape))
    support, *keys = task()
    user, item = (tf.constant(key, tf.int64) for key in keys)
    adapted, asked = made.adapt(support), (user, item, made.tables.user_rows(user))
    rows = made.tables.item_rows(item)
    with training_step(3):
        moved = StepNoise(0.5, D, use=1)(rows, training=True)
        scores = made.score_rows(adapted, *asked, rows, training=True)
    np.testing.assert_allclose(scores, made.score_rows(adapted, *asked, moved), rtol=1e-4)
    assert (np.abs(scores - made.score_rows(adapted, *asked, rows)) > 1e-4).all()


def test_in_training_products_are_of_a_share_of_the_asked_user_and_of_the_item():
    made = MatchingCMML(RowTables(20, 30, D + 1, ROW), Matching(D, dropout=0.5, seed=4))
    made.build()
    made.tables.set_tables(normal(20, D + 1), normal(30, ROW))
    part, support = made.matching, task()[0]
    # Users without a click in the support are asked; nothing else of the first weights is dropped.
    adapted = made.adapt(support._replace(user=support.user % 10))
    user, item = tf.constant([[10, 11, 12]], tf.int64), tf.constant([[0, 5, 9]], tf.int64)
    rows = made.tables.user_rows(user), made.tables.item_rows(item)
    exact = made.score_rows(adapted, user, item, *rows)
    with training_step(3):
        scores = made.score_rows(adapted, user, item, *rows, training=True)

    def products(*kept):
        each, networks = [], (part.user_product, part.item_tower.product)
        for network, row, share in zip(networks, rows, kept, strict=True):
            first, second = (layer.get_weights() for layer in network.dense_layers)
            hidden = np.maximum((row[0, :, :D] * share) @ first[0] + first[1], 0.0)
            each.append(hidden @ second[0] + second[1])
        return each[0] * each[1]

    with training_step(3):
        kept = [StepDropout(0.5, 4)(tf.ones([3, D]), use=use, training=True) for use in (3, 2)]
    assert 0 < np.mean(kept[0] == 0) < 1
    moved = (products(*kept) - products(1.0, 1.0)) @ adapted.taste.product_weight[0].numpy()
    np.testing.assert_allclose((scores - exact)[0], moved, rtol=1e-3, atol=1e-5)


def test_tables_refuse_what_does_not_fit():
    tables = RowTables(2, 3, 5, 11)
    with pytest.raises(ValueError, match=r"`user_rows` must have the shape \(2, 5\)"):
        tables.set_tables(np.zeros((3, 5)), np.zeros((3, 11)))
    with pytest.raises(ValueError, match="`item_rows` must be finite"):
        tables.set_tables(np.zeros((2, 5)), np.full((3, 11), np.nan))
    with pytest.raises(ValueError, match="`catalogue` must be at most items=3"):
        RowTables(2, 3, 5, 11, catalogue=4)


@pytest.mark.parametrize(
    "shapes",
    [([2, 3, 1], [2, 3, 1]), ([2, 3, 1, 1], [2, 1, 4, 1]), ([2, 1, 1, 1], [2, 1, 4, 1])],
)
def test_numbers_of_pairs_stand_in_columns_whether_they_are_a_list_or_a_grid(shapes):
    user, item = (tf.random.stateless_normal(shape, [1, n]) for n, shape in enumerate(shapes))
    pair = user * item
    made = tf.function(lambda *numbers: columns(pair, numbers), autograph=False)(user, item, pair)
    whole = [np.broadcast_to(one, pair.shape) for one in (user, item, pair)]
    np.testing.assert_array_equal(made, np.concatenate(whole, axis=-1))
