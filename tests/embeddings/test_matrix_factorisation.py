"""Pre-trained embeddings: where they come from, and that evaluation leaves no trace in them."""

from dataclasses import replace

import numpy as np
import pytest

from cmml_tf.config import EmbeddingConfig, ScenarioConfig, SplitConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.synthetic.planted_scenarios import planted_scenarios
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings

CONFIG = EmbeddingConfig(dimension=16, iterations=4)


@pytest.fixture(scope="module")
def data():
    return open_scenario_data("movielens-small", ScenarioConfig(), SplitConfig(), seed=0)


@pytest.fixture(scope="module")
def factors(data):
    return pretrained_embeddings(data, CONFIG, seed=0)


def test_shape_scale_and_zero_rows(data, factors):
    parts = (data.background_users, data.background_items)
    counts = (len(data.user_ids), len(data.item_ids))
    for table, fitted, rows in zip(factors, parts, counts, strict=True):
        assert table.shape == (rows, 16)
        assert table.dtype == np.float32
        known = np.isin(np.arange(rows), fitted)
        assert not table[~known].any()
        assert np.sqrt(np.mean(table[known] ** 2)) == pytest.approx(0.25, rel=1e-4)
    assert not np.isin(np.arange(counts[1]), data.background_items).all()


def test_same_seed_gives_the_same_bits(data, factors):
    again = pretrained_embeddings(data, CONFIG, seed=0)
    other = pretrained_embeddings(data, CONFIG, seed=1)
    for first, second, third in zip(factors, again, other, strict=True):
        assert first.tobytes() == second.tobytes()
        assert first.tobytes() != third.tobytes()


def test_pairs_of_the_scenarios_do_not_influence_the_factors(data, factors):
    rng = np.random.default_rng(0)

    def shuffled(scenario):
        return replace(
            scenario,
            evaluation_items=rng.permutation(scenario.evaluation_items),
            support_items=rng.permutation(scenario.support_items),
        )

    changed = replace(
        data,
        validation=tuple(map(shuffled, data.validation)),
        meta_test=tuple(map(shuffled, data.meta_test)),
        meta_train=data.meta_train[:2],
        history_users=data.history_users[:5],
        history_items=data.history_items[:5],
    )
    assert changed.fingerprint() != data.fingerprint()
    for first, second in zip(factors, pretrained_embeddings(changed, CONFIG, 0), strict=True):
        assert first.tobytes() == second.tobytes()


def test_factors_know_the_background(data, factors):
    users, items = factors
    rng = np.random.default_rng(0)
    seen = np.sum(users[data.background_users] * items[data.background_items], axis=1)
    anything = rng.choice(np.unique(data.background_items), len(data.background_users))
    random = np.sum(users[data.background_users] * items[anything], axis=1)
    assert np.mean(seen > random) > 0.75


def test_shipped_embeddings_come_before_factorisation():
    data = planted_scenarios(meta_train=2, meta_test=1, users=20, users_per_scenario=10).data
    users, items = pretrained_embeddings(data, CONFIG, seed=0)
    assert users is data.user_embeddings
    assert items is data.item_embeddings
    bare = replace(data, user_embeddings=None, item_embeddings=None)
    with pytest.raises(ValueError, match=r"no background pairs.*background_fraction"):
        pretrained_embeddings(bare, CONFIG, seed=0)


def test_files_come_first_and_must_fit(tmp_path):
    data = planted_scenarios(meta_train=2, meta_test=1, users=20, users_per_scenario=10).data
    users = np.ones((20, 3), np.float64)
    items = np.ones((len(data.item_ids), 5), np.float32)
    np.save(tmp_path / "users.npy", users)
    np.save(tmp_path / "items.npy", items)
    config = EmbeddingConfig(
        user_file=str(tmp_path / "users.npy"), item_file=str(tmp_path / "items.npy")
    )
    given = pretrained_embeddings(data, config, seed=0)
    np.testing.assert_array_equal(given[0], users)
    np.testing.assert_array_equal(given[1], items)
    assert given[0].dtype == np.float32

    users[7, 1] = np.nan
    np.save(tmp_path / "users.npy", users)
    with pytest.raises(ValueError, match=r"users\.npy must hold finite numbers\. Row 7"):
        pretrained_embeddings(data, config, seed=0)
    np.save(tmp_path / "users.npy", users[:7])
    with pytest.raises(ValueError, match=r"`user_file` .* 20 users .* with 7 rows"):
        pretrained_embeddings(data, config, seed=0)
    (tmp_path / "users.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"users\.npy is missing"):
        pretrained_embeddings(data, config, seed=0)
