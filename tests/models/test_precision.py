"""Other dtype policies are refused by name before training; XLA trains what it can."""

import pytest
import tensorflow as tf
from test_saving import MODELS, SIZES, episode, made

from cmml_tf.layers.backbones.backbone import Backbone
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.layers.hybrid_context import HybridContext
from cmml_tf.models.cmml import CMML


@pytest.fixture
def policy(request):
    tf.keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    tf.keras.mixed_precision.set_global_policy(None)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"], indirect=True)
@pytest.mark.parametrize("name", MODELS)
def test_another_policy_is_refused_before_training(policy, name):
    with pytest.raises(ValueError, match=rf"policy must be float32, .*Received: {policy}"):
        MODELS[name](name.partition("-")[2])


def test_double_precision_by_floatx_is_refused():
    tf.keras.backend.set_floatx("float64")
    try:
        with pytest.raises(ValueError, match=r"must be float32, .*Received: float64"):
            made("scenario-cmml-film")
    finally:
        tf.keras.backend.set_floatx("float32")


def test_a_part_of_another_policy_is_refused_by_name():
    parts = PairEmbedding(*SIZES), None, HybridContext("none"), Backbone([4], dtype="float64")
    with pytest.raises(ValueError, match="Received: float64 of the layer backbone"):
        CMML(*parts)(episode())


@pytest.mark.parametrize(
    "name", ["scenario-cmml-film", "scenario-cmml-soft-m-ridge", "rating-ridge"]
)
@pytest.mark.slow
def test_xla_trains_to_the_same_loss(name):
    losses = []
    for compiled in (False, True):
        model = made(name)
        model.compile("sgd", jit_compile=compiled)
        fitted = model.fit(tf.data.Dataset.from_tensors(episode()).repeat(2), verbose=0)
        losses.append(fitted.history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("name", ["baseline-s2meta", "rating_baseline-metacs-dnn"])
def test_what_xla_cannot_compile_is_refused_by_name(name):
    model = made(name)
    model.compile("sgd", jit_compile=True)
    data = tf.data.Dataset.from_tensors(episode())
    for method in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=r"`jit_compile` must be false for (S2Meta|MetaCS)"):
            method(data, verbose=0)
