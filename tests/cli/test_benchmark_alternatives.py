"""What ours is measured beside: items are folded in as least squares says, and all is drawn."""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"


@pytest.fixture
def alternatives(monkeypatch):
    monkeypatch.syspath_prepend(str(PIPELINES))
    from benchmarks.alternatives import implicit_als, picture, quality

    return implicit_als, picture, quality


def test_an_item_is_solved_for_from_its_old_and_new_users(alternatives):
    rng = np.random.default_rng(0)
    users, items = (rng.normal(size=(n, 3)).astype(np.float32) for n in (5, 4))
    pairs = np.array([0, 1, 2, 3]), np.array([0, 0, 1, 2])
    taken = csr_matrix((np.ones(4, np.float32), pairs), (5, 4))
    als = alternatives[0].ImplicitAls.of_factors(users, items, taken)
    folded = als.fold_in(np.array([3, 0, 2]), np.array([2, 2, 3]))
    np.testing.assert_array_equal(folded[0], [2, 3])
    # c = 1 for an observed pair, so that only the gram of all users and the sum of takers count.
    gram = users.T @ users + 0.01 * np.eye(3)
    expected = [np.linalg.solve(gram, users[takers].sum(axis=0)) for takers in ([0, 3], [2])]
    np.testing.assert_allclose(folded[1], expected, rtol=1e-3, atol=1e-4)
    scores = als.score_pairs(folded, np.array([0, 4]), np.array([3, 0]))
    mean = users[:4].mean(axis=0)  # the last user has taken nothing
    table = np.stack([expected[1], items[0]])
    np.testing.assert_allclose(scores, np.stack([users[0], mean]) @ table.T, rtol=1e-3, atol=1e-3)
    best, _ = als.best(folded, 0, 4)
    assert set(best) == {0, 1, 2, 3}


def test_the_picture_names_every_system(alternatives, tmp_path):
    _, picture, quality = alternatives
    recall = {"cmml-ridge": 0.6, "two_tower": 0.1, quality.RETRAINED: 0.5, "implicit_als": 0.4}
    spent = {"cmml-ridge": 1.0, "cmml-ridge, cached": 0.5, "two_tower": 0.1, "implicit_als": 2.0}
    picture.draw(tmp_path / "a.svg", {"strict": recall, "warm": recall}, spent)
    text = (tmp_path / "a.svg").read_text()
    for label in ("cmml-ridge", "two-tower (TFRS)", "retrained", "ALS fold-in (implicit)", "warm"):
        assert label in text
