"""Weights of the reference implementation become our model, every one of them or none."""

from dataclasses import replace

import numpy as np
import pytest

from cmml_tf.config import ModelConfig
from cmml_tf.interop.load_reference import model_from_reference
from cmml_tf.interop.reference_weights import ReferenceWeights
from cmml_tf.models.build import build_model
from cmml_tf.models.weight_names import named_weights

SMALL = ModelConfig(
    encoder="mean", encoder_units=5, positives_only=True, hyper_units=6, backbone_units=(4, 3)
)


def random_weights(config, users=3, items=4, dimension=2):
    """Random arrays for every weight of a network, as `read_reference_weights` gives them."""
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(rows + 1, dimension)).astype(np.float32) for rows in (users, items)]
    for table in tables:
        table[-1] = 0
    network = build_model(config, users, items, dimension, dimension)
    weights = {
        name: rng.normal(size=variable.shape).astype(np.float32)
        for name, variable in named_weights(network).items()
    }
    return ReferenceWeights(config, *tables, weights)


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, modulation="soft", modules=2),
        replace(SMALL, modulation="linear", hybrid="mlp"),
        replace(SMALL, encoder="gru", positives_only=False, modulation="sigmoid"),
    ],
    ids=lambda config: config.modulation,
)
def test_every_weight_is_assigned(config):
    reference = random_weights(config)
    model = model_from_reference(reference)
    variables = named_weights(model)
    assert variables.keys() == reference.weights.keys()
    for name, values in reference.weights.items():
        np.testing.assert_array_equal(variables[name].numpy(), values)
    np.testing.assert_array_equal(model.pair_embedding.user_table, reference.user_embeddings)
    np.testing.assert_array_equal(model.pair_embedding.item_table, reference.item_embeddings)
    network = [*model.context_encoder.variables, *model.recommender.variables]
    assert {id(v) for v in variables.values()} == {id(v) for v in network}
    assert model.positives_only == config.positives_only


def test_a_missing_weight_is_named():
    reference = random_weights(SMALL)
    del reference.weights["modulation/head/1/bias"]
    with pytest.raises(ValueError, match="`modulation/head/1/bias` is missing"):
        model_from_reference(reference)


def test_a_weight_that_is_not_part_of_the_network_is_named():
    reference = random_weights(SMALL)
    reference.weights["backbone/hidden/9/kernel"] = np.zeros([2, 2], np.float32)
    with pytest.raises(ValueError, match="`backbone/hidden/9/kernel` is not a weight"):
        model_from_reference(reference)


def test_a_weight_of_another_shape_is_named():
    reference = random_weights(SMALL)
    reference.weights["backbone/output/kernel"] = np.zeros([1, 3], np.float32)
    with pytest.raises(
        ValueError, match=r"`backbone/output/kernel` .* \(3, 1\). Received: \(1, 3\)"
    ):
        model_from_reference(reference)
