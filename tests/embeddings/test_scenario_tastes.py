"""Directions in which tastes of training scenarios differ: found, and only turned into."""

import numpy as np
import pytest
from training.small_run import planted

from cmml_tf.config import FactorConfig
from cmml_tf.datasets.synthetic.planted_scenarios import planted_scenarios
from cmml_tf.embeddings.scenario_tastes import TasteBasis, fit_taste_basis
from cmml_tf.embeddings.training_tables import given_tables
from cmml_tf.settings.scenario.matching_tables import matching_tables
from cmml_tf.training.run_folder import CONTINUED


@pytest.fixture(scope="module")
def made():
    return planted_scenarios(
        meta_train=24, validation=0, meta_test=1, users=300, users_per_scenario=150, dimension=8,
        subspace=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def basis(made):
    return fit_taste_basis(given_tables(made.data)[0], 8)


def test_the_first_directions_are_those_that_tastes_were_drawn_from(made, basis):
    drawn = np.linalg.svd(np.stack(list(made.directions.values())))[2][:2]
    np.testing.assert_array_less(0.98, np.linalg.svd(drawn @ basis.directions[:, :2])[1])
    # The others are as good as none.
    assert basis.variances[2:].max() < basis.variances[1] / 10
    assert (np.diff(basis.variances) <= 0).all()
    assert basis.variances[-1] > 0


def test_the_directions_are_orthogonal_so_that_products_stay(basis):
    np.testing.assert_allclose(basis.directions.T @ basis.directions, np.eye(8), atol=1e-12)
    rows = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32)
    turned = rows.copy()
    basis.turn(turned)
    before, after = (part[:, :8] @ part[:, :8].T for part in (rows, turned))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(turned[:, 8:], rows[:, 8:])


def test_the_same_tables_give_the_same_basis(made, basis):
    again = fit_taste_basis(given_tables(made.data)[0], 8)
    np.testing.assert_array_equal(again.directions, basis.directions)
    np.testing.assert_array_equal(again.variances, basis.variances)


def test_a_run_that_continues_another_keeps_its_directions(tmp_path):
    data = planted(validation=0, meta_test=2).data

    def tables(folder):
        folder.mkdir(exist_ok=True)
        return matching_tables(data, FactorConfig(), 0, None, None, folder)

    first = tables(tmp_path / "first")
    second = tmp_path / "second"
    second.mkdir()
    quarter = np.roll(np.eye(first.dimension), 1, axis=1)
    kept = TasteBasis(first.tastes.directions @ quarter, first.tastes.variances)
    (second / CONTINUED).mkdir()
    np.savez(second / CONTINUED / "tastes.npz", **kept._asdict())
    continued = tables(second)
    np.testing.assert_array_equal(continued.tastes.directions, kept.directions)
    for own, earlier in (
        (continued.rows.item, first.rows.item),
        (continued.training.user_rows, first.training.user_rows),
    ):
        d = first.dimension
        np.testing.assert_allclose(own[:, :d], earlier[:, :d] @ quarter, atol=1e-5)


def test_a_run_that_continues_one_without_directions_turns_nothing(tmp_path):
    data = planted(validation=0, meta_test=2).data
    (tmp_path / CONTINUED).mkdir()
    tables = matching_tables(data, FactorConfig(), 0, None, None, tmp_path)
    np.testing.assert_array_equal(tables.rows.item, given_tables(data)[1].item)
