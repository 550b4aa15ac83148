"""Recipes of the layers of matching; what they compute is in `test_matching`."""

from types import SimpleNamespace

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal

from cmml_tf.layers.matching.item_fold_in import ItemFoldIn
from cmml_tf.layers.matching.item_posterior import ClickerPosterior, CountPosterior
from cmml_tf.layers.matching.item_view import ItemTower, ItemView
from cmml_tf.layers.matching.matching import Matching
from cmml_tf.layers.matching.own_clicks import OwnClicks
from cmml_tf.layers.matching.pair_taste import PairTaste
from cmml_tf.layers.matching.scenario_taste import ScenarioTaste
from cmml_tf.layers.matching.user_votes import UserVotes


def marks(*shape):
    return (normal(*shape, seed=9) > 0).astype(np.float32)


class TestItemTower(LayerRecipe):
    weights = 12
    output_shapes = ([5, 1], [5, 7], [5, 4], [5, 2], [5, 7])
    refused = (({"features": 0}, r"`features` must be a positive integer\. Received: features=0"),)

    def make(self, features=3):
        return ItemTower(4, features, products=2)

    def inputs(self):
        return [normal(3, 5, 11)]

    def build(self, layer):
        layer.build([None, None, 11])


class TestScenarioTaste(LayerRecipe):
    weights = 7
    output_shapes = ([7], [2], [1], [1])
    input_axes = (*[range(2)] * 6, range(1))
    # It takes views of items, which are tuples.
    check_keras_model_saved_and_loaded_computes_the_same = None

    def make(self):
        return ScenarioTaste(2, products=2)

    def inputs(self):
        view = [normal(3, 6, 1), normal(3, 6, 7, seed=2), normal(3, 6, 2, seed=3)]
        users, named = normal(3, 6, 2, seed=4), np.ones((3, 6, 1), np.float32)
        return [*view, users, marks(3, 6, 1), named, normal(3, 2, seed=5)]

    def build(self, layer):
        layer.build([None, None, 7])

    def call(self, layer, inputs, **given):
        base, taste, product, user, clicks, named, clicking = inputs
        view = ItemView(base, taste, product, product, base)
        catalogue = ItemView(*(tf.constant(normal(4, width)) for width in (1, 7, 2, 2, 1)))
        return layer(view, user, clicks, named, catalogue, clicking)


class TestCountPosterior(LayerRecipe):
    weights = 6
    output_shapes = ([5, 1],)

    def make(self):
        return CountPosterior()

    def inputs(self):
        return [normal(3, 5, 1), marks(3, 5, 1), marks(3, 5, 1), normal(3, 5, 4, seed=2)]

    def build(self, layer):
        layer.build([None, None, 4])


class TestClickerPosterior(LayerRecipe):
    weights = 1
    output_shapes = ([5, 4],)

    def make(self):
        return ClickerPosterior()

    def inputs(self):
        return [normal(3, 5, 4), normal(3, 5, 4, seed=2), marks(3, 5, 1)]

    def build(self, layer):
        layer.build([None, None, 4])


class TestItemFoldIn(LayerRecipe):
    weights = 4
    output_shapes = ([5, 1],)
    input_axes = ((0,), *[(0, 1)] * 4)

    def make(self):
        return ItemFoldIn()

    def inputs(self):
        inverse = np.broadcast_to(np.eye(5, dtype=np.float32), [3, 5, 5])
        return [inverse, normal(3, 5, 4), normal(3, 5, 4, seed=2), normal(3, 5, 5, seed=3),
                marks(3, 5, 1)]  # fmt: skip

    def build(self, layer):
        layer.build([None, None, 4])

    def check_gradient_reaches_every_weight(self):
        """Some of them only through the inverse, which is one for all items of a task."""
        layer = self.built()
        _, *rest = map(tf.constant, self.inputs())
        with tf.GradientTape() as tape:
            inverse = layer.inverse(rest[0], marks(3, 5, 1))
            loss = tf.reduce_sum(layer(inverse, *rest) ** 2)
        for gradient in tape.gradient(loss, layer.trainable_variables):
            assert np.abs(gradient).max() > 0


class TestOwnClicks(LayerRecipe):
    weights = 2
    output_shapes = ([5, 4],)

    def make(self):
        return OwnClicks()

    def inputs(self):
        return [normal(3, 5, 4), normal(3, 5, 4, seed=2), marks(3, 5, 1)]

    def build(self, layer):
        layer.build([None, None, 4])


class TestUserVotes(LayerRecipe):
    weights = 3
    output_shapes = ([5, 1],)
    input_axes = ((0, 1), (0, 1), (0, 1), (0, 1, 2), (0, 1))
    # It takes sums over the pairs that match.
    check_keras_model_saved_and_loaded_computes_the_same = None

    def make(self):
        return UserVotes()

    def inputs(self):
        return [normal(3, 5, 4), normal(3, 6, 4, seed=2), np.ones((3, 6, 1), np.float32),
                marks(3, 5, 6), marks(3, 5, 6).sum(axis=-1, keepdims=True)]  # fmt: skip

    def build(self, layer):
        layer.build([None, None, 4])

    def call(self, layer, inputs, **given):
        user, others, clicks, matched, count = inputs

        def on_item(values):
            matches = tf.cast(matched, values.dtype)
            return tf.reduce_sum(tf.transpose(values, [0, 2, 1]) * matches, axis=-1, keepdims=True)

        same = dict.fromkeys(("clicked", "users", "as_given"), lambda values: values)
        pairs = SimpleNamespace(**same, on_item=on_item)
        return layer(user, others, clicks, pairs, count)


class TestPairTaste(LayerRecipe):
    weights = 5
    output_shapes = ([5, 1],)

    def make(self):
        return PairTaste(units=6, dropout=0.25, seed=3)

    def inputs(self):
        return [normal(3, 5, 4), normal(3, 5, 4, seed=2)]

    def build(self, layer):
        layer.build([None, None, 4])


class TestMatching(LayerRecipe):
    weights = 56
    output_shapes = ([5],)
    refused = (({"units": -1}, r"`units` must be zero or more\. Received: units=-1"),)
    # The support is read by a method of the layer, before the call.
    check_keras_model_saved_and_loaded_computes_the_same = None

    def built(self):
        """With smaller values: scores of hundreds would lose the digits that are compared."""
        layer = super().built()
        for variable in layer.trainable_variables:
            variable.assign(0.5 * variable)
        return layer

    def make(self, units=6):
        return Matching(4, taste_features=3, products=2, units=units)

    def inputs(self):
        rng = np.random.default_rng(5)
        keys = [rng.integers(0, 6, (3, n)) for n in (7, 7, 5, 5)]
        return [*keys, normal(3, 7, 5), normal(3, 7, 11, seed=2), marks(3, 7), normal(3, 5, 5),
                normal(3, 5, 11, seed=3)]  # fmt: skip

    def build(self, layer):
        layer.build([None, None, 11])

    def call(self, layer, inputs, **given):
        user, item, query_user, query_item, user_row, item_row, label, *query_rows = inputs
        catalogue = tf.constant(normal(4, 11, seed=4))
        valid = tf.ones_like(label, tf.bool)
        context = layer.encode(user, item, user_row, item_row, label, valid, catalogue)
        return layer(context, query_user, query_item, *query_rows)


class TestMatchingWithoutCorrection(TestMatching):
    weights = 53

    def make(self, units=0):
        return super().make(units)
