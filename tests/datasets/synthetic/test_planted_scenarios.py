"""The planted scenarios: sizes, determinism, and that the oracle is what generated them."""

import numpy as np
import pytest

from cmml_tf.datasets.synthetic.planted_scenarios import planted_scenarios


@pytest.fixture(scope="module")
def planted():
    return planted_scenarios(
        meta_train=6, validation=2, meta_test=4, users=900, users_per_scenario=300, seed=3
    )


def _recall(ranked, scenario, users):
    row_of = {int(user): row for row, user in enumerate(users)}
    column_of = {int(item): column for column, item in enumerate(scenario.candidates)}
    taken = np.zeros(ranked.shape, bool)
    for user, item in zip(scenario.evaluation_users, scenario.evaluation_items, strict=True):
        taken[row_of[int(user)], column_of[int(item)]] = True
    top = np.argsort(-ranked, axis=1)[:, :10]
    return float(np.mean(np.take_along_axis(taken, top, axis=1).sum(1) / taken.sum(1)))


def test_sizes_and_disjoint_items(planted):
    data = planted.data
    assert (len(data.meta_train), len(data.validation), len(data.meta_test)) == (6, 2, 4)
    items = np.concatenate(
        [s.candidates for s in (*data.meta_train, *data.validation, *data.meta_test)]
    )
    assert len(items) == len(np.unique(items)) == len(data.item_ids) == 12 * 60
    for scenario in data.meta_train:
        users, counts = np.unique(scenario.users, return_counts=True)
        assert len(users) == 300
        assert (counts.min(), counts.max()) == (2, 5)
        assert np.isin(scenario.items, scenario.candidates).all()
        assert len(set(zip(scenario.users, scenario.items, strict=True))) == len(scenario.users)


def test_held_out_halves_share_no_user(planted):
    for scenario in (*planted.data.validation, *planted.data.meta_test):
        assert len(scenario.support_users) <= 512
        assert not np.isin(scenario.support_users, scenario.evaluation_users).any()
        assert len(np.unique(scenario.evaluation_users)) == 150


def test_oracle_beats_turned_around_direction_by_far(planted):
    oracle, turned = [], []
    for scenario in planted.data.meta_test:
        users = np.unique(scenario.evaluation_users)
        scores = planted.oracle_scores(scenario.name, users)
        assert scores.shape == (len(users), 60)
        shared = (
            planted.data.item_embeddings[scenario.candidates] @ planted.directions[scenario.name]
        )
        oracle.append(_recall(scores, scenario, users))
        turned.append(_recall(scores - 2 * 2.0 * shared / 0.25, scenario, users))
    assert np.mean(oracle) > 0.72
    assert np.mean(turned) < 0.2


def test_one_dimensional_subspace_is_a_sign(planted):
    vectors = np.stack(list(planted.directions.values()))
    np.testing.assert_allclose(np.abs(vectors @ vectors[0]), 1.0, atol=1e-12)
    assert len({bool(sign) for sign in vectors @ vectors[0] > 0}) == 2


def test_directions_span_the_subspace_asked_for():
    planted = planted_scenarios(
        meta_train=20, subspace=3, users=50, users_per_scenario=10, items_per_scenario=8
    )
    vectors = np.stack(list(planted.directions.values()))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-12)
    assert np.linalg.matrix_rank(vectors, tol=1e-8) == 3


def test_seed_fixes_everything():
    sizes = {"meta_train": 3, "meta_test": 2, "users": 60, "users_per_scenario": 20}
    first = planted_scenarios(**sizes, seed=1).data.fingerprint()
    assert first == planted_scenarios(**sizes, seed=1).data.fingerprint()
    assert first != planted_scenarios(**sizes, seed=2).data.fingerprint()


def test_label_noise_misleads_training_and_support_but_not_evaluation():
    sizes = {"meta_train": 3, "validation": 1, "meta_test": 1, "users": 400}
    clean = planted_scenarios(**sizes, label_noise=0.0, seed=4)
    noisy = planted_scenarios(**sizes, label_noise=0.3, seed=4)
    # The first scenario is drawn before any label changes: only its items can differ.
    before, after = clean.data.meta_train[0], noisy.data.meta_train[0]
    np.testing.assert_array_equal(before.users, after.users)
    assert 0.25 < np.mean(before.items != after.items) < 0.35
    assert len(set(zip(after.users, after.items, strict=True))) == len(after.users)

    def mean_log_probability(users, items, scenario):
        scores = noisy.oracle_scores(scenario.name, users)
        place = np.searchsorted(scenario.candidates, items)
        return np.mean(scores[np.arange(len(users)), place])

    test = noisy.data.meta_test[0]
    support = mean_log_probability(test.support_users, test.support_items, test)
    evaluation = mean_log_probability(test.evaluation_users, test.evaluation_items, test)
    assert support < evaluation - 0.4


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("meta_train", 1),
        ("label_noise", 1.0),
        ("items_per_scenario", 4),
        ("users", 10),
        ("dimension", 0),
        ("std", 0.0),
    ],
)
def test_impossible_size_is_named(option, value):
    with pytest.raises(ValueError, match=f"`{option}`.*Received: {option}={value}"):
        planted_scenarios(**{option: value})
