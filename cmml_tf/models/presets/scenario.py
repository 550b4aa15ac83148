"""Models of the scenario setting that a user chooses between, by name.

Rows of the paper's tables and what was only tried beside them are in `experiments/paper_rows.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from cmml_tf.config import MATCHING, RIDGE, ModelConfig

PresetT = TypeVar("PresetT")


@dataclass(frozen=True)
class Preset:
    """A model with the training schedule that it is meant for.

    Attributes:
      model: Its configuration.
      label: How tables spell it; empty: by its name.
      schedule: Of `cmml_tf.config.SCHEDULES`.
      when: When to take it; empty for what a user does not choose between.
    """

    model: ModelConfig
    label: str = ""
    schedule: str = "default"
    when: str = ""


FILM = ModelConfig()
"""The paper's FiLM, of the sizes for MovieLens-20M."""
SOFT_M = replace(FILM, modulation="soft", encoder_units=128, backbone_units=(32, 32, 64))
"""The paper's soft modules."""
PLUS = replace(
    FILM,
    encoder_units=128,
    gru_state="mean",
    support_order="interleaved",
    hybrid_scale=4.0,
    residual_scale=True,
    affinity=True,
    bias_initial_value=0.0,
)
"""Beyond the paper: SE + dot made to read its support (docs/adaptation.md)."""
POOLED = replace(PLUS, encoder="mean", gru_state="last", support_order="given")
"""The same with mean pooling."""
ATTENTION = replace(POOLED, encoder="attention", context_vectors=4)
"""The same with pooling by attention."""

PRESETS: dict[str, Preset] = {
    "cmml-matching": Preset(
        MATCHING,
        "CMML-matching",
        "matching",
        "take it first: new items and users are matched with the support",
    ),
    "cmml-ridge": Preset(
        RIDGE,
        "CMML-ridge",
        "closed-form",
        "adapts in closed form where items and users are known",
    ),
    "cmml-film": Preset(
        FILM,
        "CMML-FiLM",
        when="the paper's model, to compare with it; it reads little of a support",
    ),
    "cmml-film-plus": Preset(
        PLUS, "CMML-FiLM-plus", "eager", "the paper's encoder, changed so that its context is read"
    ),
    "cmml-soft-m": Preset(
        SOFT_M, "CMML-Soft-M", when="the paper's soft modules, whose routes can be looked at"
    ),
    "cmml-film-ridge": Preset(
        replace(POOLED, head="ridge"),
        "CMML-FiLM-ridge",
        "adaptive",
        "the closed form beside FiLM, where much is known of each scenario",
    ),
    "cmml-attention-query": Preset(
        replace(ATTENTION, hybrid="attention"),
        "CMML-attention-query",
        "eager",
        "candidates attend to what the support says; costs most",
    ),
    "no-context": Preset(
        replace(FILM, encoder="none", hybrid="none", modulation="none"),
        "MLP without context",
        when="the backbone alone: what a context has to beat",
    ),
}


def find_preset(presets: Mapping[str, PresetT], name: str) -> tuple[str, PresetT]:
    """The name as the table spells it (lower case, hyphens), and what it stands for.

    Raises:
      ValueError: No preset has this name; the message lists them.

    Example:

    >>> find_preset(PRESETS, "CMML_Soft-M")[1].model.backbone_units
    (32, 32, 64)
    """
    key = name.lower().replace("_", "-")
    if key not in presets:
        raise ValueError(
            f"`preset` must be one of {', '.join(presets)}. Received: preset={name!r}."
        )
    return key, presets[key]
