"""Named models: every CMML row of the paper's tables 2, 4 and 5.

Sizes follow the paper's appendix and the authors' scripts: MovieLens-20M by default, Taobao and
the hybrid data set by suffix (wider hyper-network, biases from 0; for `soft` narrower modules).
"""

from dataclasses import replace

from cmml_tf.config import RECOMMENDED, ModelConfig

_FILM = ModelConfig()
_SIGMOID = replace(_FILM, modulation="sigmoid")
_LINEAR = replace(_FILM, modulation="linear", encoder_units=192)
_SOFT = replace(_FILM, modulation="soft", encoder_units=128, backbone_units=(32, 32, 64))
_POOLING = replace(_LINEAR, encoder="mean", encoder_units=128, hybrid="none")
_SEQUENTIAL = replace(_LINEAR, hybrid="none")

# Beyond the paper. SE + dot made to read its support: see docs/adaptation.md.
_PLUS = ModelConfig(
    encoder_units=128,
    gru_state="mean",
    support_order="interleaved",
    hybrid_scale=4.0,
    residual_scale=True,
    affinity=True,
    bias_initial_value=0.0,
)
_POOLED = replace(_PLUS, encoder="mean", gru_state="last", support_order="given")
_ATTENTION = replace(_POOLED, encoder="attention", context_vectors=4)
_WITH_BIAS = ("film", "sigmoid")


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
    return replace(wider, bias_initial_value=0.0) if config.modulation in _WITH_BIAS else wider


MODEL_PRESETS: dict[str, ModelConfig] = {
    # Table 2 and table 5; `linear`, `s-lm`, `f-lm` and `soft-m` are table 5's names.
    "cmml-film": _FILM,
    "cmml-soft-m": _SOFT,
    "cmml-linear": _LINEAR,
    "cmml-sigmoid": _SIGMOID,
    "f-lm": _FILM,
    "soft-m": _SOFT,
    "linear": _LINEAR,
    "s-lm": _SIGMOID,
    "cmml-film-taobao": _taobao(_FILM),
    "cmml-soft-m-taobao": _taobao(_SOFT),
    "cmml-linear-taobao": _taobao(_LINEAR),
    "cmml-sigmoid-taobao": _taobao(_SIGMOID),
    "cmml-film-hybrid": _taobao(_FILM),
    "cmml-soft-m-hybrid": replace(_taobao(_SOFT), backbone_units=(32, 32, 32)),
    # Table 4, all with linear weight modulation.
    "non-negative": replace(_POOLING, positives_only=True),
    "pe": _POOLING,
    "se": _SEQUENTIAL,
    "se-mlp": replace(_SEQUENTIAL, hybrid="mlp"),
    "se-dot": _LINEAR,
    # Not in the paper: adapts in closed form; see cmml_tf/layers/closed_form/scenario_ridge.py.
    "cmml-ridge": RECOMMENDED,
    # Not in the paper: its sequential encoder with a context that is read.
    "cmml-film-plus": _PLUS,
    "cmml-soft-m-plus": _soft_modules(replace(_PLUS, hybrid_scale=16.0)),
    # Not in the paper: a closed-form head beside a modulation network.
    "cmml-film-ridge": replace(_POOLED, head="ridge"),
    "cmml-soft-m-ridge": _soft_modules(replace(_POOLED, head="ridge")),
    # Not in the paper: pooling by attention; the query attends to what it has pooled.
    "cmml-attention": _ATTENTION,
    "cmml-attention-query": replace(_ATTENTION, hybrid="attention"),
    # The backbone alone: what a context has to beat.
    "no-context": replace(_FILM, encoder="none", hybrid="none", modulation="none"),
}


# Schedules of `cmml_tf.config.SCHEDULES`; every other preset is meant for `default`.
_SCHEDULES = {
    "cmml-ridge": "closed-form",
    "cmml-film-ridge": "adaptive",
    "cmml-soft-m-ridge": "adaptive",
    "cmml-film-plus": "eager",
    "cmml-soft-m-plus": "adaptive",
    "cmml-attention": "eager",
    "cmml-attention-query": "eager",
}


def preset_schedule(name: str) -> str:
    """The training schedule that a preset is meant for.

    Example:

    >>> preset_schedule("cmml-film")
    'default'
    """
    return _SCHEDULES.get(preset_key(name), "default")


def preset_key(name: str) -> str:
    """The name as the table spells it: lower case, hyphens."""
    return name.lower().replace("_", "-")


def model_preset(name: str) -> ModelConfig:
    """The configuration of a row of the paper's tables.

    Args:
      name: For example `cmml-film` or `se-mlp`; case and underscores do not matter.

    Raises:
      ValueError: No preset has this name; the message lists them.

    Example:

    >>> model_preset("CMML-Soft-M").backbone_units
    (32, 32, 64)
    """
    key = preset_key(name)
    if key not in MODEL_PRESETS:
        raise ValueError(
            f"`preset` must be one of {', '.join(MODEL_PRESETS)}. Received: preset={name!r}."
        )
    return MODEL_PRESETS[key]
