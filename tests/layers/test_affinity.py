"""The affinity: the recipe, its number, and unequal widths."""

import numpy as np
import pytest
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal

from cmml_tf.layers.affinity import Affinity


class TestAffinity(LayerRecipe):
    weights = 1
    output_shapes = ([5],)

    def make(self):
        return Affinity()

    def inputs(self):
        return [normal(3, 5, 6)]

    def build(self, layer):
        layer.build([None, None, 6])

    def test_is_at_first_twice_the_product(self):
        (pairs,) = self.inputs()
        expected = 2 * (pairs[..., :3] * pairs[..., 3:]).sum(axis=-1)
        np.testing.assert_allclose(self.make()(tf.constant(pairs)), expected, rtol=1e-5, atol=1e-6)


def test_unequal_widths_are_refused():
    with pytest.raises(ValueError, match=r"equally wide embeddings\. Received: .* of 5"):
        Affinity()(tf.ones([1, 2, 5]))
