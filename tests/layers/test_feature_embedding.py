"""Feature embeddings: means of members, unknown values, order of a pair's parts."""

import numpy as np
import pytest
import tensorflow as tf
from layers.layer_recipe import LayerRecipe

from cmml_tf.layers.feature_embedding import FeaturePairEmbedding, FieldEmbedding
from cmml_tf.types import Feature, FeatureColumn

GENRE = FeatureColumn(
    Feature("genre", "multi-hot", ("a", "b", "c")),
    np.int32([2, 0, 1, 0, 0]),
    np.int64([0, 2, 2, 5, 5]),  # item 0: c a; item 1: nothing; item 2: b a a; unknown: nothing
)
RATE = FeatureColumn(Feature("rate", "categorical", ("R", "G")), np.int32([1, 0, 2, 2]))
PRICE = FeatureColumn(Feature("price", "numeric"), np.float32([1.5, -2, 0, 0]))
AGE = FeatureColumn(Feature("age", "categorical", ("1", "18")), np.int32([1, 2]))


class FieldRecipe(LayerRecipe):
    output_shapes = ([4],)
    weights, frozen = 2, 1
    input_axes = ((0,),)
    column = RATE

    def make(self, dimension=4):
        return FieldEmbedding(self.column, dimension)

    def inputs(self):
        return [np.int32([0, 3, 2])]

    def build(self, layer):
        layer.build([None])


class TestOneValue(FieldRecipe):
    refused = (({"dimension": 0}, r"`dimension` must be a positive .* dimension=0"),)


class TestSeveralValues(FieldRecipe):
    column = GENRE
    weights, frozen = 3, 2


class TestNumber(FieldRecipe):
    column = PRICE


class TestFeaturePairs(LayerRecipe):
    weights, frozen = 9, 5
    output_shapes = ([2, 4 + 3 * 3],)
    input_axes = ((0, 1), (0, 1))

    def make(self):
        ids = FeatureColumn(Feature("rate", "id", ("a", "b", "c")), np.int32([0, 1, 2, 3]))
        return FeaturePairEmbedding([ids, GENRE, PRICE], [AGE], 3, id_dimension=4)

    def inputs(self):
        return [np.int32([[0, 1], [1, 1], [0, 0]]), np.int32([[0, 3], [2, 1], [1, 0]])]

    def build(self, layer):
        layer.build([None, None])

    def test_values_are_weights_and_not_in_the_configuration(self):
        layer = self.built()
        columns = layer.get_config()["item_columns"]
        assert [column["values"] for column in columns] == [4, 5, 4]
        again = FeaturePairEmbedding.from_config(layer.get_config())
        alike = again(*self.inputs()).numpy()
        assert (alike == alike[0, 0]).all()  # without its weights it tells no pair from another
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(again(*self.inputs()), layer(*self.inputs()))


def built(column, dimension=4):
    layer = FieldEmbedding(column, dimension)
    layer.build(None)
    layer.table.assign(np.random.default_rng(0).normal(size=layer.table.shape))
    return layer, layer.table.numpy()


def test_several_values_have_the_mean_of_their_rows_and_none_zeros():
    layer, table = built(GENRE)
    expected = [table[0:3:2].mean(0), np.zeros(4), table[[1, 0, 0]].mean(0), np.zeros(4)]
    np.testing.assert_allclose(layer(tf.range(4)), expected, rtol=1e-6)
    again = layer(tf.constant([3, 2, 2, 0]))
    np.testing.assert_allclose(again, np.stack(expected)[[3, 2, 2, 0]], rtol=1e-6)
    given = layer.embed(tf.ragged.constant([[2, 0], [], [1, 0, 0]], dtype=tf.int64))
    np.testing.assert_allclose(given, expected[:3], rtol=1e-6)


def test_gradients_reach_each_member_with_its_share():
    layer, _ = built(GENRE)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(tf.constant([0, 2])))
    gradient = tf.convert_to_tensor(tape.gradient(total, layer.table)).numpy()
    np.testing.assert_allclose(gradient[:, 0], [1 / 2 + 2 / 3, 1 / 3, 1 / 2, 0], rtol=1e-6)


def test_one_value_has_its_row_and_a_number_scales_a_vector():
    layer, table = built(RATE)
    np.testing.assert_array_equal(layer(tf.range(4)), table[[1, 0, 2, 2]])
    layer, table = built(PRICE)
    np.testing.assert_allclose(layer(tf.range(2)), [1.5 * table[0], -2 * table[0]], rtol=1e-6)


def test_the_row_for_unknown_values_starts_at_zero():
    for column in (GENRE, RATE):
        layer = FieldEmbedding(column, 4)
        layer.build(None)
        assert not layer.table.numpy()[-1].any()
        assert layer.table.numpy()[:-1].any()


def test_a_pair_is_item_features_then_user_features():
    layer = FeaturePairEmbedding([RATE, GENRE], [AGE], dimension=4)
    pairs = layer(tf.constant([[0, 1]]), tf.constant([[1, 3]]))
    assert (layer.items, layer.users, layer.item_dimension, layer.dimension) == (3, 1, 8, 12)
    rate, genre = (field(tf.constant([1, 3])) for field in layer.item_fields)
    age = layer.user_fields[0](tf.constant([0, 1]))
    np.testing.assert_array_equal(pairs[0], tf.concat([rate, genre, age], axis=-1))


def test_wrong_columns_are_refused():
    with pytest.raises(ValueError, match="`item_columns` must have at least one feature"):
        FeaturePairEmbedding([], [AGE])
    with pytest.raises(ValueError, match=r"`item_columns` must belong to one.*\[1, 3\] rows"):
        FeaturePairEmbedding([RATE, AGE], [])
    with pytest.raises(ValueError, match="`dimension` must be a positive"):
        FieldEmbedding(RATE, 0)
