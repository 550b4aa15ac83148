"""What is kept from one support set to the next changes no score."""

import numpy as np
import pytest
import tensorflow as tf
from layers.test_matching import model

from cmml_tf.evaluation import matching_scorer
from cmml_tf.evaluation.matching_scorer import MatchingScorer
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.types import Support

USERS, ITEMS = np.arange(1, 8, dtype=np.int32), np.arange(3, 14, dtype=np.int32)


def support(users):
    rng = np.random.default_rng(len(users))
    items = rng.integers(0, 30, (1, len(users)))
    label = np.resize(np.float32([1, 0]), (1, len(users)))
    return Support(np.array([users]), items, label, np.array([len(users)], np.int32))


@pytest.mark.parametrize("kept", [2**24, 0])
def test_a_grid_is_scored_as_its_pairs_are_whoever_has_clicks_in_the_support(monkeypatch, kept):
    monkeypatch.setattr(matching_scorer, "_MOST_KEPT", kept)
    asked = model()
    scorer, plain = MatchingScorer(asked), ModelScorer(asked, tasks=1)
    query = tf.repeat(USERS, len(ITEMS))[None], tf.tile(ITEMS, [len(USERS)])[None]
    # None of the asked users, some of them, none again, and others.
    for users in ([15, 16, 17], [2, 15, 4, 5], [15, 16, 17], [7, 1, 2, 3, 4, 19]):
        given = support(users)
        expected = plain.score(plain.adapt(given), *(ids.numpy() for ids in query))
        found = scorer.score_grid(scorer.adapt(given), USERS, ITEMS)
        np.testing.assert_allclose(found, expected.reshape(7, 11), rtol=1e-4, atol=1e-5)
