"""What a rating contributes to its pair: the recipes, and the width that a model builds for."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal

from cmml_tf.layers.label_features import RatingFeatures, RatingItself


class TestRatingFeatures(LayerRecipe):
    weights = 4
    output_shapes = ([5, 4],)

    def make(self):
        return RatingFeatures(4)

    def inputs(self):
        return [normal(3, 5)]

    def build(self, layer):
        layer.build([None, None])

    def test_the_shape_is_known_before_the_call(self):
        layer = self.built()
        assert layer.compute_output_shape([2, 7]) == layer(tf.ones([2, 7])).shape


class TestRatingItself(TestRatingFeatures):
    weights = 0
    output_shapes = ([5, 1],)
    check_gradient_reaches_every_weight = None  # It has none.

    def make(self):
        return RatingItself()

    def test_is_the_number(self):
        (rating,) = self.inputs()
        np.testing.assert_array_equal(self.make()(tf.constant(rating))[..., 0], rating)
