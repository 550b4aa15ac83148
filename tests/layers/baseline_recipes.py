"""Recipes of the layers that only baselines have."""

import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal

from cmml_tf.baselines.conet import CrossConnectedNetwork
from cmml_tf.baselines.dcn import DeepCrossNetwork
from cmml_tf.baselines.gradient_based.stop_controller import StopController
from cmml_tf.baselines.gradient_based.update_controller import INPUTS, UpdateController
from cmml_tf.baselines.interaction_mlp import InteractionMLP


class NetworkRecipe(LayerRecipe):
    output_shapes = ([5],)
    weights = 6

    def make(self, units=(8, 4)):
        return InteractionMLP(units)

    def inputs(self):
        return [normal(3, 5, 6)]

    def build(self, layer):
        layer.build([None, None, 6])


class InteractionRecipe(NetworkRecipe):
    refused = (({"units": []}, "`units` must be one or more positive integers"),)


class DeepCrossRecipe(NetworkRecipe):
    weights = 8
    refused = (({"cross_layers": 0}, "`cross_layers` must be a positive integer"),)

    def make(self, cross_layers=2):
        return DeepCrossNetwork(cross_layers, [8])


class ProjectedDeepCrossRecipe(NetworkRecipe):
    weights = 10

    def make(self):
        return DeepCrossNetwork(2, [8], projection=4)


class CrossConnectedRecipe(NetworkRecipe):
    weights = 14
    output_shapes = ([5], [5])
    refused = (({"units": [0]}, "`units` must be one or more positive integers"),)

    def make(self, units=(8, 4)):
        return CrossConnectedNetwork(units)

    def inputs(self):
        return [normal(3, 5, 6), normal(3, 5, 6, seed=4)]


class StopRecipe(LayerRecipe):
    weights = 7
    output_shapes = ([], [4], [4])
    # They are where a loop begins; a step is given its state.
    without_gradient = ("first_hidden", "first_cell")

    def make(self):
        return StopController(4)

    def inputs(self):
        return [normal(3, 6), normal(3, 4, seed=4), normal(3, 4, seed=5)]

    def build(self, layer):
        layer.build([None, 6])

    def call(self, layer, inputs, **given):
        norms, *state = inputs
        return layer(norms, state, **given)


class UpdateRecipe(LayerRecipe):
    """Weights, and not tasks, are its batch, and they stand last."""

    weights = 8
    batch_axis = 1
    output_shapes = ([2], [4], [4])
    input_axes = ((1,), (1,), (1,))
    without_gradient = ("first_hidden", "first_cell")

    def make(self):
        return UpdateController(4)

    def inputs(self):
        return [normal(INPUTS, 3), normal(4, 3, seed=4), normal(4, 3, seed=5)]

    def build(self, layer):
        layer.build([INPUTS, None])

    def call(self, layer, inputs, **given):
        return layer(*map(tf.convert_to_tensor, inputs), **given)
