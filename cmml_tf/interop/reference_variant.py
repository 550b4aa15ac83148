"""Which network of the paper a state dict of the reference implementation belongs to."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from cmml_tf.config.model import ModelConfig, Modulation
from cmml_tf.interop.reference_layout import HIDDEN_LAYERS
from cmml_tf.plain_arrays import ArrayHeader

Arrays = Mapping[str, np.ndarray | ArrayHeader]
"""Arrays, or what they say of themselves: their shapes are asked, and no value."""

Hybrid = Literal["dot", "mlp", "none"]
"""The hybrid contexts that the reference implementation has."""


def recognise_variant(
    state: Arrays,
    d: int,
    hybrid: Hybrid | None,
    recorded: np.ndarray | None,
    path: Path,
) -> tuple[ModelConfig, str | None]:
    """The configuration, and a sentence for the user where it had to be guessed.

    Each size is read off one array; whether all others agree is for the caller to check.

    Args:
      state: Arrays by the state dict's names, embedding tables apart.
      d: Size of a pair embedding, user and item together.
      hybrid: How context and query pair meet, where the caller knows.
      recorded: [Q, .], inputs of the hyper-network kept with the weights, or None.
      path: The file, whose name is the last thing asked.

    Raises:
      ValueError: No variant has such names or shapes, or `hybrid` contradicts them.
    """
    modulation = _recognise_modulation(state)
    hybrid, note = _recognise_hybrid(state, modulation, d, hybrid, recorded, path)
    return _recognise_sizes(state, modulation, hybrid), note


def _recognise_modulation(state: Arrays) -> Modulation:
    if any(name.startswith("mlp.fc") for name in state):
        return "soft"
    if "mlp.0.weight" in state:
        return "linear"
    if not any(name.startswith("mlp.f") for name in state):
        raise ValueError(
            "`state/mlp.*` must hold the backbone of a CMML model. Accepted: mlp.f1.weight (FiLM, "
            "sigmoid), mlp.0.weight (linear) or mlp.fc1.0.weight (soft modularisation). "
            f"Received: {', '.join(sorted(state)) or 'no state/ array'}."
        )
    head = "hypernet.f11.weight"
    units, _ = _rows_and_columns(state, "mlp.f1.weight")
    width, inputs = _rows_and_columns(state, head)
    if width == 2 * units:
        return "film"
    if width == units:
        return "sigmoid"
    raise ValueError(
        f"`state/{head}` must have shape {(2 * units, inputs)} (FiLM) or {(units, inputs)} "
        f"(sigmoid). Received: shape {(width, inputs)}."
    )


def _recognise_hybrid(
    state: Arrays,
    modulation: Modulation,
    d: int,
    hybrid: Hybrid | None,
    recorded: np.ndarray | None,
    path: Path,
) -> tuple[Hybrid, str | None]:
    """The hybrid context of the model, and a note where it had to be guessed."""
    name = _first_hyper_layer(modulation)
    units, inputs = _rows_and_columns(state, name)
    if inputs not in (d, 2 * d):
        raise ValueError(
            f"`state/{name}` must have shape {(units, d)} (hybrid dot or none) or {(units, 2 * d)} "
            f"(mlp), for embeddings of {d} together. Received: shape {(units, inputs)}."
        )
    possible: tuple[Hybrid, ...] = ("mlp",) if inputs == 2 * d else ("dot", "none")
    if hybrid is not None and hybrid not in possible:
        raise ValueError(
            f"`hybrid` must be {' or '.join(possible)}, since `state/{name}` takes {inputs} inputs "
            f"and a pair embedding has {d}. Received: hybrid={hybrid!r}."
        )
    if hybrid is not None or len(possible) == 1:
        return hybrid or possible[0], None
    if recorded is not None and recorded.ndim == 2 and len(recorded) > 1:
        # The context alone is the same for every query pair.
        return ("none" if np.ptp(recorded, axis=0).max() == 0 else "dot"), None
    token = re.search(r"(?:^|_)(dot|no|none)(?:_|$)", path.stem)
    found: Hybrid = "dot" if token is None or token[1] == "dot" else "none"
    source = "is the default" if token is None else f"was read from the file name {path.name!r}"
    return found, (
        f"Hybrid context {found!r} {source}: weights of `dot` and `none` have the same names and "
        "shapes; name it explicitly (hybrid) if the model was trained otherwise."
    )


def _recognise_sizes(state: Arrays, modulation: Modulation, hybrid: Hybrid) -> ModelConfig:
    is_gru = any(name.startswith("context_encoder.gru.") for name in state)
    if is_gru:
        _, encoder_units = _rows_and_columns(state, "context_encoder.gru.weight_hh_l0")
    else:
        encoder_units, _ = _rows_and_columns(state, "context_encoder.mlp.0.weight")
    hyper_units, _ = _rows_and_columns(state, _first_hyper_layer(modulation))
    layers = {
        "linear": ["mlp.0.weight", "mlp.2.weight", "mlp.4.weight"],
        "soft": [f"mlp.fc{number}.0.weight" for number in range(1, HIDDEN_LAYERS + 1)],
    }.get(modulation, [f"mlp.f{number}.weight" for number in range(1, HIDDEN_LAYERS + 1)])
    modules = ModelConfig.modules
    if modulation == "soft":
        numbers = [re.match(r"mlp\.fc\d\.(\d{1,3})\.", name) for name in state]
        modules = max((int(number[1]) for number in numbers if number), default=0) + 1
    return ModelConfig(
        encoder="gru" if is_gru else "mean",
        encoder_units=encoder_units,
        positives_only=not is_gru,
        hybrid=hybrid,
        modulation=modulation,
        hyper_units=hyper_units,
        backbone_units=tuple(_rows_and_columns(state, name)[0] for name in layers),
        modules=modules,
    )


def _first_hyper_layer(modulation: Modulation) -> str:
    return {"linear": "hypernet.0.weight", "soft": "hypernet.fc1.weight"}.get(
        modulation, "hypernet.f1.weight"
    )


def _rows_and_columns(state: Arrays, name: str) -> tuple[int, int]:
    """The shape of a weight matrix that sizes are read off."""
    if name not in state:
        raise ValueError(f"`state/{name}` is missing. Accepted: a matrix (units, inputs).")
    if state[name].ndim != 2 or state[name].size == 0:
        raise ValueError(
            f"`state/{name}` must be a matrix (units, inputs). Received: shape {state[name].shape}."
        )
    return state[name].shape
