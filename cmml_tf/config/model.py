"""What the network is."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cmml_tf.config.checks import (
    FROM_0_BELOW_1,
    ZERO_OR_MORE,
    ZERO_OR_POSITIVE_INTEGER,
    CountsFor,
    PositiveFloat,
    PositiveInt,
    Units,
    check,
)

Encoder = Literal["gru", "mean", "max", "attention", "ridge", "matching", "none"]
Hybrid = Literal["dot", "mlp", "attention", "none"]
Modulation = Literal["film", "sigmoid", "linear", "soft", "ridge", "matching", "none"]
GruState = Literal["last", "mean"]
SupportOrder = Literal["given", "interleaved"]
Head = Literal["none", "ridge"]
RidgeInputs = Literal["item", "pair", "hidden"]
_LEARNED = ("gru", "mean", "max", "attention")
_NETWORKS = ("film", "sigmoid", "linear", "soft")


@dataclass(frozen=True)
class ModelConfig:
    """What the network is (paper section 3). The defaults are CMML-FiLM for MovieLens-20M."""

    encoder: Encoder = "gru"
    """Context encoder: `gru` (SE, equation 7), `mean` or `max` (PE, equation 6), or, not in the
    paper, `attention` (pooling by attention), `ridge` (a regression of the labels), `matching`
    (what the support says of each id); or `none`."""
    encoder_units: Annotated[PositiveInt, CountsFor(encoder=_LEARNED)] = 256
    """Hidden units of the encoder: the GRU's state, or the width of the pooling MLP."""
    gru_state: Annotated[GruState, CountsFor(encoder=("gru",))] = "last"
    """What is read of the GRU: its `last` state, as in the paper, or the `mean` of all."""
    support_order: Annotated[SupportOrder, CountsFor(encoder=("gru",))] = "given"
    """The GRU reads the support as `given`, or positives and negatives `interleaved`."""
    context_vectors: Annotated[PositiveInt, CountsFor(encoder=("attention",))] = 1
    """Context vectors K of a task, each as wide as a pair embedding (`attention` encoder only)."""
    attention_heads: Annotated[PositiveInt, CountsFor(encoder=("attention",))] = 4
    """Heads of the attention encoder and of the attending hybrid context."""
    positives_only: Annotated[bool, CountsFor(encoder=(*_LEARNED, "ridge"))] = False
    """The encoder reads positive support pairs only (the paper's "Non-negative")."""
    hybrid: Hybrid = "dot"
    """How the task context meets a query pair (equation 8): `dot`, `mlp` or `none`; or `attention`
    (not in the paper): the pair attends to the context vectors of an `attention` encoder."""
    hybrid_scale: Annotated[PositiveFloat, CountsFor(hybrid=("dot", "attention"))] = 1.0
    """What the hybrid contexts `dot` and `attention` are multiplied with (the paper's 1)."""
    modulation: Modulation = "film"
    """`film` (equation 11), `sigmoid` (10), `linear` (9), `soft` modules (12, 13), `ridge` or
    `matching` (with the encoder of that name) or `none`."""
    residual_scale: Annotated[bool, CountsFor(modulation=("film",))] = False
    """The scale of `film` is 1 + s, so that an untrained modulation changes little."""
    hyper_units: Annotated[PositiveInt, CountsFor(modulation=_NETWORKS)] = 64
    """Hidden units h of the hyper-network or route network."""
    backbone_units: Annotated[Units, CountsFor(modulation=(*_NETWORKS, "ridge", "none"))] = (
        64,
        64,
        64,
    )
    """Hidden units of the backbone, layer by layer (with `soft`: of each module)."""
    modules: Annotated[PositiveInt, CountsFor(modulation=("soft",))] = 4
    """Modules m of a soft-modularised layer."""
    affinity: Annotated[bool, CountsFor(modulation=(*_NETWORKS, "none"))] = False
    """The score has another term: a learned multiple of the product of user and item embedding."""
    head: Annotated[Head, CountsFor(modulation=(*_NETWORKS, "none"))] = "none"
    """`ridge`: a closed-form regression of the support labels beside any modulation or `none`."""
    ridge_inputs: Annotated[RidgeInputs, CountsFor(head=("ridge",))] = "item"
    """Features of that head: `item` embedding, `pair` embedding or last `hidden` layer."""
    ridge_features: Annotated[PositiveInt, CountsFor(modulation=("ridge",), head=("ridge",))] = 64
    """Features that a closed-form regression weighs (modulation or head `ridge`)."""
    ridge_tastes: Annotated[PositiveInt, CountsFor(modulation=("ridge",))] = 32
    """Products of what is learned of user and item that the modulation `ridge` weighs, too."""
    dropout: Annotated[float, FROM_0_BELOW_1, CountsFor(modulation=("ridge", "matching"))] = 0.0
    """Share of the networks' inputs left out in training (`ridge` and `matching`)."""
    taste_features: Annotated[PositiveInt, CountsFor(modulation=("matching",))] = 8
    """Learned features of items, beside their factors, in which scenarios differ (`matching`)."""
    taste_products: Annotated[PositiveInt, CountsFor(modulation=("matching",))] = 24
    """Products of a user and an item in which scenarios differ, too (`matching`)."""
    correction_units: Annotated[
        int, ZERO_OR_POSITIVE_INTEGER, CountsFor(modulation=("matching",))
    ] = 32
    """Hidden units of what corrects the score of fitted factors (`matching`); 0: nothing does."""
    shipped_correction_units: Annotated[
        int, ZERO_OR_POSITIVE_INTEGER, CountsFor(modulation=("matching",))
    ] = 32
    """The same where the data set ships its vectors (`matching`)."""
    item_noise: Annotated[float, ZERO_OR_MORE, CountsFor(modulation=("matching",))] = 0.0
    """Standard deviation of noise on fitted factors of asked items in training (`matching`)."""
    bias_initial_value: Annotated[float, CountsFor(modulation=("film", "sigmoid", "none"))] = 0.1
    """First value of the biases of backbone and hyper-network (`film`, `sigmoid`, `none`)."""

    def __post_init__(self) -> None:
        check(self)
        for part in ("none", "ridge", "matching"):
            if (self.encoder == part) == (self.modulation == part):
                continue
            raise ValueError(
                f"`encoder` and `modulation` must be {part} together: one without the other "
                "computes nothing. "
                f"Received: encoder={self.encoder!r}, modulation={self.modulation!r}."
            )
        if self.hybrid == "attention" and self.encoder != "attention":
            raise ValueError(
                "`hybrid` may be attention only with the encoder attention, whose context vectors "
                f"it attends to. Received: encoder={self.encoder!r}."
            )
        if self.hybrid == "mlp" and self.encoder in ("ridge", "matching", "none"):
            raise ValueError(
                "`hybrid` must be none (or left at dot) with ridge, matching and none, which no "
                f"hybrid context follows. Received: hybrid={self.hybrid!r}, "
                f"encoder={self.encoder!r}."
            )


MATCHING = ModelConfig(
    encoder="matching",
    hybrid="none",
    modulation="matching",
    dropout=0.4,
    correction_units=0,
    item_noise=0.2,
)
"""Not in the paper: matching by id (preset `cmml-matching`), which is the default."""
RIDGE = ModelConfig(encoder="ridge", hybrid="none", modulation="ridge", dropout=0.4)
"""Not in the paper: the closed form (preset `cmml-ridge`)."""
