"""What a server reads of a model that matches: rows and what is made of them, computed once."""

import numpy as np
import tensorflow as tf
from matching_cases import ITEMS, USERS, matching_model

from cmml_tf.serving.served_tables import as_served
from cmml_tf.types import Support


def test_contexts_and_scores_are_those_of_the_tables_for_known_and_unknown_ids():
    model = matching_model().model
    served = as_served(model)
    assert as_served(served) is served
    rng = np.random.default_rng(0)
    user, item = rng.integers(-2, USERS + 2, (2, 3, 8)), rng.integers(-2, ITEMS + 2, (2, 3, 8))
    label = rng.integers(0, 2, (3, 8)).astype(np.float32)
    support = Support(*map(tf.constant, (user[0], item[0], label, np.int32([8, 5, 0]))))
    context = model.encode_context(support)
    np.testing.assert_allclose(served.encode_context(support), context, rtol=1e-4, atol=1e-5)
    query = tf.constant(user[1]), tf.constant(item[1])
    expected = model.score_with_context(context, *query)
    np.testing.assert_allclose(served.score_with_context(context, *query), expected, atol=1e-5)
    rows = tf.range(ITEMS, dtype=tf.int64)
    np.testing.assert_allclose(served.item_columns(rows), model.item_columns(rows), atol=1e-5)
