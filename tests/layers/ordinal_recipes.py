"""Recipes of the layers of the ordinal model; what they compute is in `test_ordinal_cmml`."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, MaskedLayerRecipe, normal

from cmml_tf.layers.ordinal.fold_in_encoder import FoldInEncoder
from cmml_tf.layers.ordinal.neighbour_context import NeighbourContext
from cmml_tf.layers.ordinal.ordinal_recommender import OrdinalRecommender
from cmml_tf.layers.ordinal.rated_pair import context_width, pair_width
from cmml_tf.layers.ordinal.rating_tables import RatingTables

SIZES, LEVELS, MEMORY, ITEMS, PLACES, CONTENT = [1, 3], [1.0, 2.0, 4.0], 4, 6, 5, 2
PAIR, CONTEXT = pair_width(SIZES, 3), context_width(SIZES, 3, MEMORY)


def pairs(*shape):
    """Pair embeddings [..., PAIR] of items of the table, with positive precisions and counts."""
    rows = normal(*shape, PAIR)
    rows[..., 0] = np.random.default_rng(1).integers(0, ITEMS + 1, shape)
    for column in (3, 8, 9):
        rows[..., column] = np.abs(rows[..., column])
    return rows


class Filled(LayerRecipe):
    """A layer whose frozen tables hold numbers."""

    def built(self):
        layer = super().built()
        rng = np.random.default_rng(2)
        for table in layer.non_trainable_variables:
            table.assign(tf.cast(rng.integers(0, 3, table.shape), table.dtype))
        return layer


class TestRatingTables(Filled):
    weights = frozen = 3
    output_shapes = ([5, 1 + 4 + 2],)
    refused = (({"items": 0}, r"`items` must be a positive integer\. Received: items=0"),)
    input_axes = (range(2), range(2))

    def make(self, items=ITEMS):
        return RatingTables(users=4, items=items, user_width=2, item_width=4, groups=3)

    def inputs(self):
        rng = np.random.default_rng(0)
        return [rng.integers(0, n + 1, (3, 5)).astype(np.int32) for n in (4, ITEMS)]

    def build(self, layer):
        layer.build([None, None])


class TestFoldInEncoder(MaskedLayerRecipe):
    weights = 0
    output_shapes = ([CONTEXT],)
    check_gradient_reaches_every_weight = None  # It has none.
    refused = (
        ({"levels": [1.0, 1.0, 2.0]}, "`levels` must be two or more ascending numbers"),
        ({"share": [1.0]}, "`share` must have a number for each of 3 levels. Received: 1"),
        ({"sizes": [3, 1]}, r"`sizes` must be positive integers, the first one 1\. Received"),
        ({"memory": 0}, r"`memory` must be a positive integer\. Received: memory=0"),
    )

    def make(self, **changes):
        given = {"sizes": SIZES, "levels": LEVELS, "share": [0.2, 0.3, 0.5], "mean": 2.5}
        return FoldInEncoder(**{**given, "deviation": 1.2, "memory": MEMORY, **changes})

    def inputs(self):
        return [np.concatenate([pairs(3, 5), normal(3, 5, 1, seed=5)], axis=-1)]

    def build(self, layer):
        layer.build([None, None, PAIR + 1])


class TestNeighbourContext(Filled):
    weights, frozen = 4, 3
    output_shapes = ([5, 18],)
    refused = (
        ({"items": 0}, r"`items` must be a positive integer\. Received: items=0"),
        ({"content_width": -1}, r"`content_width` must be zero or a positive integer\. Received"),
    )

    def make(self, items=ITEMS, content_width=CONTENT):
        return NeighbourContext(SIZES, 3, MEMORY, items, PLACES, content_width)

    def inputs(self):
        context = 0.3 * np.abs(normal(3, CONTEXT))
        context[:, -3 * MEMORY : -2 * MEMORY] = [0, 3, 5, -1]
        return [context, pairs(3, 5)]

    def build(self, layer):
        layer.build([None, CONTEXT], [None, None, PAIR])

    def test_output_width_is_what_call_gives(self):
        layer = self.built()
        width = layer(*map(tf.constant, self.inputs())).shape[-1]
        assert width == layer.output_width(CONTEXT, PAIR)


class TestOrdinalRecommender(LayerRecipe):
    weights = 10
    output_shapes = ([5],)
    refused = (
        ({"predictions": 0}, r"`predictions` must be a positive integer\. Received"),
        ({"levels": [2.0]}, "`levels` must be two or more ascending numbers"),
    )

    def make(self, predictions=4, levels=LEVELS):
        return OrdinalRecommender(predictions, levels, 2.5, 1.2, units=[6, 6])

    def inputs(self):
        return [normal(3, 5, PAIR), normal(3, 5, 9, seed=6)]

    def build(self, layer):
        layer.build([None, None, PAIR], [None, None, 9])
