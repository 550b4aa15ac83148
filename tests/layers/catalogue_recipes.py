"""Recipes of the layers of a catalogue; what they compute is in `tests/ranking`."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal
from random_weights import random_weights

from cmml_tf.layers.catalogue.item_content import ItemContent
from cmml_tf.layers.catalogue.item_evidence import ItemEvidence
from cmml_tf.layers.catalogue.item_tables import Evidence, ItemTablesLayer
from cmml_tf.layers.catalogue.known_items_context import KnownItemsContext
from cmml_tf.layers.catalogue.stand_in_worth import StandInWorth
from cmml_tf.layers.catalogue.table_backbone import TableBackbone


class OfEvidence(LayerRecipe):
    """A layer that takes `Evidence`, given as its parts, of 7 items."""

    weights = 0
    input_axes = (range(1),) * 8
    # It takes a tuple.
    check_keras_model_saved_and_loaded_computes_the_same = None

    def inputs(self):
        known = np.array([0, 1, 7], np.float32)
        level = np.array([[0, 1, 1]] * 3, np.int32)  # of three items in no table
        return [
            normal(3, 2, 4),
            np.zeros([3, 2, 0], np.float32),
            normal(3, 6, seed=2),
            level,
            np.zeros([3, 0], np.float32),
            known,
            normal(3, seed=3),
            np.zeros(3, np.int32),
        ]

    def build(self, layer):
        layer.build(None)

    def call(self, layer, inputs, **given):
        return layer(Evidence(*inputs, tf.constant(7.0)), **given)


class TestKnownItemsContext(OfEvidence):
    output_shapes = ([5],)

    def make(self):
        return KnownItemsContext()


class TestItemEvidence(OfEvidence):
    output_shapes = ([3, 6],)

    def make(self):
        return ItemEvidence()


class TestTableBackbone(LayerRecipe):
    weights = 8
    output_shapes = ([6],)
    refused = (
        ({"weight_units": 0}, r"`weight_units` must be a positive integer\. Received: weight_u"),
        ({"item_units": -1}, r"`item_units` must be a positive integer\. Received: item_units=-1"),
    )
    input_axes = (range(1), range(1))

    def make(self, weight_units=4, item_units=3):
        return TableBackbone(weight_units, item_units)

    def inputs(self):
        return [normal(3, 2, 6), normal(3, 5, seed=2)]

    def build(self, layer):
        layer.build([None, 2, 6], [None, 5])


class TestStandInWorth(LayerRecipe):
    weights = 4
    output_shapes = ([6], [6])
    refused = (
        ({"weight_units": 0}, r"`weight_units` must be a positive integer\. Received: weight_u"),
    )
    input_axes = (range(1),) * 3

    def make(self, weight_units=4):
        return StandInWorth(weight_units)

    def inputs(self):
        return [normal(3, 6), np.abs(normal(3, 6, seed=2)), normal(3, 5, seed=3)]

    def build(self, layer):
        layer.build(None, None, [None, 5])

    def check_it_is_the_formula_in_numpy(self):
        layer = self.make()
        self.build(layer)
        random_weights(layer, np.random.default_rng(4), 0.5)
        scores, known, context = self.inputs()
        found, more = layer(scores, known, context)
        first, offset, second, least = (weight.numpy() for weight in layer.weights)
        of_score, of_known, themselves = (np.tanh(context @ first + offset) @ second + least).T
        wanted = of_score[:, None] * (scores - scores.mean(1)[:, None])
        wanted += 10 * of_known[:, None] * known
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(more, 10 * themselves[:, None] * known, rtol=1e-4, atol=1e-5)


class TestItemContent(LayerRecipe):
    weights = 6
    output_shapes = ([2], [1], [1], [3])
    refused = (
        ({"weight_units": 0}, r"`weight_units` must be a positive integer\. Received: weight_u"),
    )
    input_axes = (range(1),) * 3

    def make(self, weight_units=4):
        return ItemContent(weight_units)

    def inputs(self):
        return [normal(3, 2, 3), normal(3, 5, seed=2), normal(3, 3, seed=3)]

    def build(self, layer):
        layer.build([None, 2, 3], [None, 5])


class TestItemTables(LayerRecipe):
    weights = frozen = 4
    content = stand_ins = 0
    output_shapes = ([2, 4], [2, 0], [6], [2], [0], [], [], [], [])
    refused = (
        ({"users": 0}, r"`users` must be a positive integer\. Received: users=0"),
        ({"table_items": 7}, r"`table_items` must be at most `items`\. Received: table_items=7"),
        ({"content": -1}, r"`content` must be zero or a positive integer\. Received: content=-1"),
        ({"stand_ins": -1}, r"`stand_ins` must be zero or a positive integer\. Received: stand_i"),
        ({"folds": 2}, r"`folds` must be 1 without `add_up`\. Received: folds=2"),
    )
    mask = np.array([[True, True], [True, False], [False, False]])

    def make(self, users=3, table_items=4, content=None, folds=1, stand_ins=None):
        content = self.content if content is None else content
        stand_ins = self.stand_ins if stand_ins is None else stand_ins
        sizes = {"tables": 2, "table_items": table_items, "folds": folds, "content": content}
        return ItemTablesLayer(users, 6, **sizes, stand_ins=stand_ins)

    def inputs(self):
        user = np.array([[0, 0], [1, 1], [3, 3]], np.int32)
        return [user, np.array([[0, 5], [3, 9], [1, 1]], np.int32)]

    def build(self, layer):
        layer.build(None)

    def built(self):
        layer, w = super().built(), self.content
        layer.rows.assign(normal(4, 2 * (4 + w)))
        layer.set_popularity(0, normal(6), -3.0)
        if w:
            layer.set_content_of_fold(0, normal(w, 2, 4 + w), normal(w), normal(4))
            layer.set_content(normal(6, w))
        if self.stand_ins:
            # Of two items in no table; nothing stands in for the first.
            layer.set_stand_ins(0, np.int32([[0, 0], [3, 1]]), np.float32([[0, 0], [0.6, 0.4]]))
        return layer

    def call(self, layer, inputs, **given):
        mask = given.pop("mask", tf.constant(self.mask))
        evidence = layer(*inputs, mask)
        tasks = tf.shape(evidence.known)[0]
        return evidence._replace(
            level=tf.repeat(tf.cast(evidence.level, tf.float32)[None], tasks, axis=0),
            fold=tf.cast(evidence.fold, tf.float32),
            compared=tf.fill([tasks], evidence.compared),
        )


class TestItemTablesWithContent(TestItemTables):
    weights = frozen = 8
    content = 3
    output_shapes = ([2, 4], [2, 3], [7], [2], [0], [], [], [], [])


class TestItemTablesWithStandIns(TestItemTables):
    weights = frozen = 6
    output_shapes = ([2, 4], [2, 0], [6], [2], [4], [], [], [], [])
    stand_ins = 2

    def check_an_item_in_no_table_has_the_rows_of_what_stands_in_for_it(self):
        layer = self.built()
        sums = self.call(layer, self.inputs()).sums.numpy().reshape(3, -1)
        rows = layer.rows.numpy()
        np.testing.assert_allclose(sums[0], rows[0] + 0.6 * rows[3] + 0.4 * rows[1], rtol=1e-5)
        np.testing.assert_allclose(sums[1], rows[3], rtol=1e-5)
        user = np.zeros([1, 2], np.int32)
        nothing = layer(user, np.array([[4, 4]]), tf.ones([1, 2], tf.bool))
        assert not nothing.sums.numpy().any()
        assert nothing.known.numpy() == [1]

    def check_it_says_how_much_of_each_table_item_is_known(self):
        own = self.call(self.built(), self.inputs()).own
        np.testing.assert_allclose(own, [[1, 0.4, 0, 0.6], [0, 0, 0, 1], [0, 0, 0, 0]])

    def check_items_in_no_table_have_in_parts_what_stands_in_for_them(self):
        layer, values = self.built(), normal(2, 4)
        fold, wanted = tf.zeros([2], tf.int32), 0.6 * values[:, 3] + 0.4 * values[:, 1]
        found = layer.in_parts(values, fold).numpy()
        np.testing.assert_allclose(found, np.stack([0 * wanted, wanted], axis=1), rtol=1e-5)
        one_by_one = layer.in_parts_of(values, fold, np.int32([[5, 4, 5]] * 2)).numpy()
        np.testing.assert_allclose(one_by_one, found[:, [1, 0, 1]], rtol=1e-5)


class TestItemTablesWithContentAndStandIns(TestItemTablesWithContent):
    weights = frozen = 11
    output_shapes = ([2, 4], [2, 3], [7], [2], [4], [], [], [], [])
    stand_ins = 2

    def check_content_foretells_the_rows_only_of_what_nothing_stands_in_for(self):
        layer, rows = self.built(), normal(4, 2 * (4 + 3))
        user, mask = np.zeros([1, 1], np.int32), tf.ones([1, 1], tf.bool)
        without, with_some = (layer(user, np.array([[item]]), mask) for item in (4, 5))
        foretold = layer.content.numpy()[4] @ layer.content_rows.numpy()
        for found, wanted in ((without, foretold), (with_some, 0.6 * rows[3] + 0.4 * rows[1])):
            own = np.concatenate([found.sums, found.content], axis=2).reshape(-1)
            np.testing.assert_allclose(own, wanted, rtol=1e-4, atol=1e-6)
