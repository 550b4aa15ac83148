"""Presets carry the sizes of the paper and its scripts."""

import pytest
from models.every_preset import MODEL_PRESETS

from cmml_tf.config import ModelConfig
from cmml_tf.experiments.forms import model_preset
from cmml_tf.models import presets


def fields(name, *names):
    return tuple(getattr(model_preset(name), field) for field in names)


@pytest.mark.parametrize(
    ("name", "modulation", "units"),
    [
        ("cmml-film", "film", 256),
        ("cmml-sigmoid", "sigmoid", 256),
        ("cmml-linear", "linear", 192),
        ("cmml-soft-m", "soft", 128),
    ],
)
def test_table_2(name, modulation, units):
    assert fields(name, "modulation", "encoder", "encoder_units", "hybrid", "hyper_units") == (
        modulation,
        "gru",
        units,
        "dot",
        64,
    )
    assert fields(f"{name}-taobao", "modulation", "encoder_units", "hyper_units") == (
        modulation,
        units,
        128,
    )


@pytest.mark.parametrize(
    ("name", "encoder", "hybrid", "positives_only"),
    [
        ("non-negative", "mean", "none", True),
        ("pe", "mean", "none", False),
        ("se", "gru", "none", False),
        ("se-mlp", "gru", "mlp", False),
        ("se-dot", "gru", "dot", False),
    ],
)
def test_table_4_is_linear_modulation_throughout(name, encoder, hybrid, positives_only):
    assert fields(name, "modulation", "encoder", "hybrid", "positives_only") == (
        "linear",
        encoder,
        hybrid,
        positives_only,
    )


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("f-lm", "cmml-film"),
        ("s-lm", "cmml-sigmoid"),
        ("linear", "cmml-linear"),
        ("soft-m", "cmml-soft-m"),
    ],
)
def test_names_of_table_5(name, same):
    assert model_preset(name) == model_preset(same)


def test_soft_modules_are_narrower_on_the_hybrid_data():
    assert model_preset("cmml-soft-m").backbone_units == (32, 32, 64)
    assert model_preset("cmml-soft-m-taobao").backbone_units == (32, 32, 64)
    assert model_preset("cmml-soft-m-hybrid").backbone_units == (32, 32, 32)


def test_biases_start_at_a_tenth_on_movielens_only():
    assert model_preset("cmml-film").bias_initial_value == 0.1
    assert model_preset("cmml-film-taobao").bias_initial_value == 0.0
    assert model_preset("cmml-film-hybrid").bias_initial_value == 0.0


BEYOND_THE_PAPER = (
    "gru_state",
    "support_order",
    "context_vectors",
    "hybrid_scale",
    "residual_scale",
    "affinity",
    "head",
    "dropout",
)
NOT_IN_THE_PAPER = ("-plus", "-ridge", "-matching", "-attention", "-attention-query")


@pytest.mark.parametrize("name", [n for n in MODEL_PRESETS if not n.endswith(NOT_IN_THE_PAPER)])
def test_presets_of_the_paper_use_no_option_beyond_it(name):
    assert fields(name, *BEYOND_THE_PAPER) == tuple(
        getattr(ModelConfig(), field) for field in BEYOND_THE_PAPER
    )


@pytest.mark.parametrize("modulation", ["film", "soft-m"])
def test_the_improved_sequential_encoder_stays_se_with_dot(modulation):
    plus, paper = f"cmml-{modulation}-plus", f"cmml-{modulation}"
    assert fields(plus, "encoder", "hybrid", "modulation", "backbone_units") == fields(
        paper, "encoder", "hybrid", "modulation", "backbone_units"
    )
    assert fields(plus, "gru_state", "support_order") == ("mean", "interleaved")


def test_default_configuration_is_film():
    assert model_preset("cmml-film") == ModelConfig()


@pytest.mark.parametrize("name", ["CMML-FiLM", "cmml_film", "Cmml_Film"])
def test_case_and_underscores_do_not_matter(name):
    assert model_preset(name) == MODEL_PRESETS["cmml-film"]


def test_unknown_preset_is_refused_with_the_list():
    with pytest.raises(
        ValueError,
        match=r"`preset` must be one of cmml-matching, .*se-dot.* Received: preset='flim'\.",
    ):
        model_preset("flim")


def test_rows_of_tables_are_no_presets_of_the_library():
    assert presets.model_preset("CMML-Film") == ModelConfig()
    with pytest.raises(ValueError, match=r"`preset` must be one of cmml-matching, "):
        presets.model_preset("se-dot")
