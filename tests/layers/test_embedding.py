"""Pair embeddings: the recipe, the zero row for unknown ids, and frozen tables."""

import numpy as np
import pytest
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal
from reference import numpy_reference

from cmml_tf.layers.embedding import PairEmbedding


class TestPairEmbedding(LayerRecipe):
    weights = 2
    output_shapes = ([2, 7],)
    input_axes = ((0,), (0,))
    refused = tuple(
        ({name: value}, rf"`{name}` must be a positive integer\. Received: {name}={value}\.")
        for name, value in [
            ("users", 0),
            ("items", -3),
            ("user_dimension", 0),
            ("item_dimension", -1),
        ]
    )

    def make(self, **changes):
        sizes = {"users": 4, "items": 5, "user_dimension": 3, "item_dimension": 4}
        return PairEmbedding(**{**sizes, "trainable_tables": True, **changes})

    def inputs(self):
        return [
            np.array([[0, 3], [1, 4], [2, 2]], np.int32),
            np.array([[5, 0], [1, 2], [3, 4]], np.int32),
        ]

    def build(self, layer):
        layer.build(None)


def filled():
    layer = PairEmbedding(users=4, items=5, user_dimension=3, item_dimension=4)
    users, items = normal(4, 3), normal(5, 4)
    layer.set_tables(users, items)
    return layer, users, items


def test_user_stands_before_item():
    layer, users, items = filled()
    user, item = np.array([0, 3]), np.array([4, 1])
    np.testing.assert_array_equal(
        layer(tf.constant([user]), tf.constant([item]))[0],
        numpy_reference.pair_embedding(users, items, user, item),
    )


def test_row_behind_the_known_ids_is_zero():
    layer, _, _ = filled()
    np.testing.assert_array_equal(
        layer(tf.constant([[4]]), tf.constant([[5]])), np.zeros([1, 1, 7])
    )


def test_tables_are_frozen_unless_asked_for():
    assert filled()[0].trainable_variables == []
    layer = PairEmbedding(4, 5, 3, 4, trainable_tables=True)
    layer.build(None)
    assert [v.shape.as_list() for v in layer.trainable_variables] == [[5, 3], [6, 4]]


def test_tables_of_another_shape_are_refused():
    layer, users, items = filled()
    with pytest.raises(
        ValueError, match=r"`user_embeddings` must have the shape \(4, 3\)\. Received: \(5, 3\)\."
    ):
        layer.set_tables(np.zeros([5, 3]), items)
    with pytest.raises(ValueError, match=r"`item_embeddings` must have the shape \(5, 4\)"):
        layer.set_tables(users, np.zeros([5, 3]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    layer, users, items = filled()
    items[2, 1] = value
    with pytest.raises(ValueError, match=r"`item_embeddings` must be finite\."):
        layer.set_tables(users, items)
