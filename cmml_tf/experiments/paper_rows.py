"""Rows of tables: models of the paper's tables 2, 4 and 5, and what was tried beside them.

Sizes follow the paper's appendix and the authors' scripts: MovieLens-20M by default, Taobao and
the hybrid data set by suffix (wider hyper-network, biases from 0; for `soft` narrower modules).
"""

from dataclasses import replace

from cmml_tf.config import ModelConfig
from cmml_tf.models.presets.rating import (
    NETWORK,
    NO_BIAS,
    PRIOR_EPISODE,
    RatingPreset,
    with_network,
)
from cmml_tf.models.presets.rating import SOFT_M as RATING_SOFT_M
from cmml_tf.models.presets.scenario import ATTENTION, FILM, PLUS, POOLED, SOFT_M, Preset

_SIGMOID = replace(FILM, modulation="sigmoid")
_LINEAR = replace(FILM, modulation="linear", encoder_units=192)
_POOLING = replace(_LINEAR, encoder="mean", encoder_units=128, hybrid="none")
_SEQUENTIAL = replace(_LINEAR, hybrid="none")


def _soft_modules(config: ModelConfig) -> ModelConfig:
    return replace(
        config,
        modulation="soft",
        backbone_units=(32, 32, 64),
        residual_scale=False,
        bias_initial_value=ModelConfig.bias_initial_value,
    )


def _taobao(config: ModelConfig) -> ModelConfig:
    wider = replace(config, hyper_units=128)
    with_bias = config.modulation in ("film", "sigmoid")
    return replace(wider, bias_initial_value=0.0) if with_bias else wider


SCENARIO_ROWS: dict[str, Preset] = {
    # Table 2 and table 5; `linear`, `s-lm`, `f-lm` and `soft-m` are table 5's names.
    "cmml-linear": Preset(_LINEAR, "CMML-Linear"),
    "cmml-sigmoid": Preset(_SIGMOID, "CMML-Sigmoid"),
    "f-lm": Preset(FILM),
    "soft-m": Preset(SOFT_M),
    "linear": Preset(_LINEAR),
    "s-lm": Preset(_SIGMOID),
    "cmml-film-taobao": Preset(_taobao(FILM)),
    "cmml-soft-m-taobao": Preset(_taobao(SOFT_M)),
    "cmml-linear-taobao": Preset(_taobao(_LINEAR)),
    "cmml-sigmoid-taobao": Preset(_taobao(_SIGMOID)),
    "cmml-film-hybrid": Preset(_taobao(FILM)),
    "cmml-soft-m-hybrid": Preset(replace(_taobao(SOFT_M), backbone_units=(32, 32, 32))),
    # Table 4, all with linear weight modulation.
    "non-negative": Preset(replace(_POOLING, positives_only=True), "Non-negative"),
    "pe": Preset(_POOLING, "PE"),
    "se": Preset(_SEQUENTIAL, "SE"),
    "se-mlp": Preset(replace(_SEQUENTIAL, hybrid="mlp"), "SE-MLP"),
    "se-dot": Preset(_LINEAR),
    # Not in the paper: those of the presets with soft modules, and pooling by attention alone.
    "cmml-soft-m-plus": Preset(
        _soft_modules(replace(PLUS, hybrid_scale=16.0)), "CMML-Soft-M-plus", "adaptive"
    ),
    "cmml-soft-m-ridge": Preset(
        _soft_modules(replace(POOLED, head="ridge")), "CMML-Soft-M-ridge", "adaptive"
    ),
    "cmml-attention": Preset(ATTENTION, "CMML-attention", "eager"),
}
"""Of the scenario setting."""

_RATING_LINEAR = replace(NETWORK, modulation="linear", hyper_units=64, bias_initial_value=NO_BIAS)

RATING_ROWS: dict[str, RatingPreset] = {
    # Section 4.2; linear as in the authors' class, which knows no other encoder than the mean.
    "cmml-linear": RatingPreset(with_network(_RATING_LINEAR), label="CMML-Linear"),
    "cmml-sigmoid": RatingPreset(
        with_network(replace(NETWORK, modulation="sigmoid")), label="CMML-Sigmoid"
    ),
    "cmml-film-max": RatingPreset(with_network(replace(NETWORK, encoder="max"))),
    "cmml-film-gru": RatingPreset(with_network(replace(NETWORK, encoder="gru", encoder_units=64))),
    "cmml-soft-m-prior": RatingPreset(
        with_network(RATING_SOFT_M, context_prior=True),
        PRIOR_EPISODE,
        label="CMML-Soft-M, learned prior",
    ),
}
"""Of the user setting."""
