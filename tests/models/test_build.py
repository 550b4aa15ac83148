"""Building: every weight exists before the first call, and starts where the paper says."""

import numpy as np
import pytest
import tensorflow as tf
from models.every_preset import MODEL_PRESETS

from cmml_tf.config import ModelConfig
from cmml_tf.models.build import build_model
from cmml_tf.models.weight_names import named_weights
from cmml_tf.types import Episode, Support

FILM_SHAPES = {
    "context_encoder/gru/kernel": (130, 768),
    "context_encoder/gru/recurrent_kernel": (256, 768),
    "context_encoder/gru/bias": (2, 768),
    "context_encoder/mlp/0/kernel": (256, 256),
    "context_encoder/mlp/1/kernel": (256, 128),
    "modulation/hyper/0/kernel": (128, 64),
    "modulation/hyper/2/kernel": (64, 64),
    "modulation/head/2/kernel": (64, 128),
    "backbone/hidden/0/kernel": (128, 64),
    "backbone/hidden/2/kernel": (64, 64),
    "backbone/output/kernel": (64, 1),
}


def test_a_model_of_keys_is_not_built_as_a_network():
    with pytest.raises(ValueError, match=r"built by `cmml_tf\.models\.build_matching"):
        build_model(MODEL_PRESETS["cmml-matching"], users=3, items=4)


def episode():
    ids = tf.zeros([1, 2], tf.int32)
    return Episode(
        Support(ids, ids, tf.zeros([1, 2]), tf.constant([2])), ids, ids, tf.zeros([1, 2])
    )


def test_sizes_of_the_default_model():
    weights = named_weights(build_model(ModelConfig(), users=3, items=5))
    shapes = {name: tuple(weights[name].shape) for name in FILM_SHAPES}
    assert shapes == FILM_SHAPES


def test_soft_modules_have_their_widths():
    weights = named_weights(build_model(MODEL_PRESETS["cmml-soft-m"], users=3, items=5))
    kernels = [tuple(weights[f"backbone/hidden/{layer}/kernel"].shape) for layer in range(3)]
    assert kernels == [(4, 128, 32), (4, 32, 32), (4, 32, 64)]
    heads = [weights[f"modulation/head/{layer}/kernel"].shape[-1] for layer in range(3)]
    assert heads == [16, 16, 4]


def test_hybrid_mlp_doubles_the_input_of_the_modulation():
    weights = named_weights(build_model(MODEL_PRESETS["se-mlp"], users=3, items=5))
    assert weights["modulation/hyper/0/kernel"].shape == [256, 64]


@pytest.mark.parametrize("name", ["cmml-film", "cmml-soft-m", "pe", "no-context"])
def test_every_weight_exists_before_the_first_call(name):
    model = build_model(MODEL_PRESETS[name], 3, 5, 4, 4)
    before = [id(variable) for variable in model.variables]
    model(episode())
    assert [id(variable) for variable in model.variables] == before


@pytest.mark.parametrize(
    ("name", "value"), [("cmml-film", 0.1), ("cmml-sigmoid", 0.1), ("cmml-film-taobao", 0.0)]
)
def test_biases_of_backbone_and_hyper_network_start_at_the_initial_value(name, value):
    weights = named_weights(build_model(MODEL_PRESETS[name], 3, 5, 4, 4))
    biases = {n: v for n, v in weights.items() if n.endswith("bias")}
    for place, bias in biases.items():
        expected = 0.0 if place.startswith("context_encoder") else value
        np.testing.assert_array_equal(bias, np.full(bias.shape, np.float32(expected)), place)


@pytest.mark.parametrize("name", ["cmml-linear", "cmml-soft-m"])
def test_biases_of_linear_and_soft_modulation_start_at_zero(name):
    weights = named_weights(build_model(MODEL_PRESETS[name], 3, 5, 4, 4))
    for place, variable in weights.items():
        if place.endswith("bias"):
            np.testing.assert_array_equal(variable, np.zeros(variable.shape), place)


def test_global_seed_fixes_the_initial_weights():
    def initial(seed):
        tf.keras.utils.set_random_seed(seed)
        return [v.numpy() for v in build_model(ModelConfig(), 3, 5, 4, 4).variables]

    first, again, other = initial(1), initial(1), initial(2)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_embedding_sizes_may_differ():
    model = build_model(ModelConfig(encoder="mean", encoder_units=4), 3, 5, 4, 7)
    assert model.context_dimension == 11
    assert model(episode()).shape == [1, 2]


def test_tables_start_at_zero_with_one_row_more():
    embedding = build_model(ModelConfig(), 3, 5, 4, 7).pair_embedding
    np.testing.assert_array_equal(embedding.user_table, np.zeros([4, 4]))
    np.testing.assert_array_equal(embedding.item_table, np.zeros([6, 7]))
