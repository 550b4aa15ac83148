"""The settings of the scenario network. No TensorFlow."""

from dataclasses import dataclass
from typing import Literal

from cmml_tf.config_checks import require, require_choice

Encoder = Literal["gru", "mean", "max", "attention", "ridge", "none"]
Hybrid = Literal["dot", "mlp", "attention", "none"]
Modulation = Literal["film", "sigmoid", "linear", "soft", "ridge", "none"]
GruState = Literal["last", "mean"]
SupportOrder = Literal["given", "interleaved"]
Head = Literal["none", "ridge"]
RidgeInputs = Literal["item", "pair", "hidden"]


@dataclass(frozen=True)
class ModelConfig:
    """What the network is (paper section 3). The defaults are CMML-FiLM for MovieLens-20M."""

    encoder: Encoder = "gru"
    """Context encoder: `gru` (SE, equation 7), `mean` or `max` (PE, equation 6), `attention` or
    `ridge` (not in the paper: pooling by attention; a regression of the labels), or `none`."""
    encoder_units: int = 256
    """Hidden units of the encoder: the GRU's state, or the width of the pooling MLP."""
    gru_state: GruState = "last"
    """What is read of the GRU: its `last` state, as in the paper, or the `mean` of all."""
    support_order: SupportOrder = "given"
    """The GRU reads the support as `given`, or positives and negatives `interleaved`."""
    context_vectors: int = 1
    """Context vectors K of a task, each as wide as a pair embedding (`attention` encoder only)."""
    attention_heads: int = 4
    """Heads of the attention encoder and of the attending hybrid context."""
    positives_only: bool = False
    """The encoder reads positive support pairs only (the paper's "Non-negative")."""
    hybrid: Hybrid = "dot"
    """How the task context meets a query pair (equation 8): `dot`, `mlp` or `none`; or `attention`
    (not in the paper): the pair attends to the context vectors of an `attention` encoder."""
    hybrid_scale: float = 1.0
    """What the hybrid contexts `dot` and `attention` are multiplied with (the paper's 1)."""
    modulation: Modulation = "film"
    """`film` (equation 11), `sigmoid` (10), `linear` (9), `soft` modules (12, 13), `ridge` (with
    the encoder of that name) or `none`."""
    residual_scale: bool = False
    """The scale of `film` is 1 + s, so that an untrained modulation changes little."""
    hyper_units: int = 64
    """Hidden units h of the hyper-network or route network."""
    backbone_units: tuple[int, ...] = (64, 64, 64)
    """Hidden units of the backbone, layer by layer (with `soft`: of each module)."""
    modules: int = 4
    """Modules m of a soft-modularised layer."""
    affinity: bool = False
    """The score has another term: a learned multiple of the product of user and item embedding."""
    head: Head = "none"
    """`ridge`: a closed-form regression of the support labels beside any modulation or `none`."""
    ridge_inputs: RidgeInputs = "item"
    """Features of that head: `item` embedding, `pair` embedding or last `hidden` layer."""
    ridge_features: int = 64
    """Features that a closed-form regression weighs (modulation or head `ridge`)."""
    ridge_tastes: int = 32
    """Products of what is learned of user and item that the modulation `ridge` weighs, too."""
    dropout: float = 0.0
    """Share of the backbone's inputs left out in training (`ridge` only)."""
    bias_initial_value: float = 0.1
    """First value of the biases of backbone and hyper-network (`film` and `sigmoid` only)."""

    def __post_init__(self) -> None:
        require_choice(self, "encoder", Encoder)
        require_choice(self, "hybrid", Hybrid)
        require_choice(self, "modulation", Modulation)
        require_choice(self, "gru_state", GruState)
        require_choice(self, "support_order", SupportOrder)
        require_choice(self, "head", Head)
        require_choice(self, "ridge_inputs", RidgeInputs)
        sizes = ("encoder_units", "hyper_units", "modules", "context_vectors", "attention_heads")
        for name in (*sizes, "ridge_features", "ridge_tastes"):
            require(getattr(self, name) >= 1, self, name, "a positive integer")
        require(self.hybrid_scale > 0, self, "hybrid_scale", "a positive number")
        object.__setattr__(self, "backbone_units", tuple(self.backbone_units))
        require(
            len(self.backbone_units) > 0 and all(units >= 1 for units in self.backbone_units),
            self,
            "backbone_units",
            "one or more positive integers",
        )
        require(0 <= self.dropout < 1, self, "dropout", "at least 0 and below 1")
        for part in ("none", "ridge"):
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
        if self.context_vectors > 1 and self.encoder != "attention":
            raise ValueError(
                "`context_vectors` must be 1 with any encoder but attention. "
                f"Received: context_vectors={self.context_vectors}, encoder={self.encoder!r}."
            )
        if self.modulation == "ridge" and (self.head != "none" or self.affinity):
            raise ValueError(
                "`head` and `affinity` must be none and false with the modulation ridge, which "
                f"holds both. Received: head={self.head!r}, affinity={self.affinity}."
            )


RECOMMENDED = ModelConfig(encoder="ridge", hybrid="none", modulation="ridge", dropout=0.4)
"""Not in the paper: the closed-form head, which adapts best (preset `cmml-ridge`)."""
