"""Weights of the reference PyTorch implementation, read from .npz into our layers' orientation.

The file holds the state dict as `state/<name>` and the embedding tables as `in/user_embeddings` and
`in/item_embeddings`; arrays under `in/`, `out/`, `meta/`, `grad.../` and `after_adam/` (recorded
inputs and results) may stand beside them and are not weights. No TensorFlow.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from cmml_tf.config.model import ModelConfig
from cmml_tf.interop.npz_arrays import read_float_arrays
from cmml_tf.interop.reference_layout import (
    GRU_ARRAYS,
    dense_layers,
    expected_shapes,
)
from cmml_tf.interop.reference_variant import Arrays, Hybrid, recognise_variant
from cmml_tf.plain_arrays import ArrayHeader

_TABLES = ("in/user_embeddings", "in/item_embeddings")
_HYPER_INPUT = "out/hypernet_input"
_RECORDED = ("in/", "out/", "meta/", "grad/", "gradnorm/", "gradsparse/", "after_adam/")
_USER_SETTING = ("user_item_embed.", "context_encoder.score_mlp.")


@dataclass(frozen=True)
class ReferenceWeights:
    """A scenario model of the reference implementation, ready for our layers.

    Attributes:
      config: The network these weights belong to. Mean encoders of the reference implementation
        read positive pairs only, so `positives_only` is set with them.
      user_embeddings: float32 [users + 1, d_u]; the last row is zeros and stands for unknown.
      item_embeddings: float32 [items + 1, d_i]; the same.
      weights: float32 by layer name. Dense layers: `<layer>/kernel` [in, units], `<layer>/bias`
        [units] for `context_encoder/mlp/<l>`, `modulation/hyper/<l>`, `modulation/head/<l>`,
        `backbone/hidden/<l>` and `backbone/output`, as far as the variant has them; with soft
        modularisation `backbone/hidden/<l>` is [M, in, units] and [M, units]. GRU:
        `context_encoder/gru/kernel` [in, 3H], `recurrent_kernel` [H, 3H] and `bias` [2, 3H], gates
        in Keras' order z, r, n (`reset_after=True`).
      note: A sentence for the user where the file left something open; None where it did not.
    """

    config: ModelConfig
    user_embeddings: np.ndarray
    item_embeddings: np.ndarray
    weights: dict[str, np.ndarray]
    note: str | None = None


def read_reference_weights(path: str | Path, hybrid: Hybrid | None = None) -> ReferenceWeights:
    """Reads a state dict of the reference implementation and recognises its variant.

    Names and shapes tell everything but one: with hybrid `dot` and `none` (equation 8) all arrays
    have the same names and shapes. Then `hybrid` decides; without it the hyper-network's recorded
    input (`out/hypernet_input`) where the file has it; then `_dot_` or `_no_` in the file's name;
    then `dot`, the default of the paper. The last two are said in `note`.

    Args:
      path: An .npz file.
      hybrid: How context and query pair meet, where the caller knows.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not an .npz file of plain arrays; an array is missing, not part of the
        model, of another shape, or not finite; `hybrid` contradicts the shapes; or the model is one
        of the user setting.
    """
    path = Path(path)
    if hybrid is not None and hybrid not in get_args(Hybrid):
        raise ValueError(
            f"`hybrid` must be one of {', '.join(get_args(Hybrid))}. Received: hybrid={hybrid!r}."
        )
    arrays = read_float_arrays(
        path,
        lambda name: name.startswith("state/") or name in (*_TABLES, _HYPER_INPUT),
        lambda names, headers: _check_headers(names, headers, hybrid, path),
    )
    user_embeddings, item_embeddings = (_table(arrays, name) for name in _TABLES)
    d = user_embeddings.shape[1] + item_embeddings.shape[1]
    state = {
        name.removeprefix("state/"): array
        for name, array in arrays.items()
        if name.startswith("state/")
    }
    _drop_repeated_tables(state, user_embeddings, item_embeddings)
    recorded = arrays.get(_HYPER_INPUT)
    config, note = recognise_variant(state, d, hybrid, recorded, path)
    return ReferenceWeights(
        config, user_embeddings, item_embeddings, _convert(state, config, d), note
    )


def _check_headers(
    names: list[str], headers: dict[str, ArrayHeader], hybrid: Hybrid | None, path: Path
) -> None:
    """Refuses names and shapes that no model has, before any value is loaded."""
    _check_names(names)
    widths = [_table_shape(headers, name)[1] for name in _TABLES]
    state = {
        name.removeprefix("state/"): header
        for name, header in headers.items()
        if name.startswith("state/")
    }
    for name in _repeated_tables():
        state.pop(name, None)
    # Which of two hybrid contexts it is changes no shape, so nothing recorded is needed here.
    config, _ = recognise_variant(state, sum(widths), hybrid, None, path)
    _check_state(state, config, sum(widths))


def _check_names(names: Iterable[str]) -> None:
    """Refuses the user setting and names outside the layout."""
    for name in names:
        if name.removeprefix("state/").startswith(_USER_SETTING):
            raise ValueError(
                f"`{name}` belongs to a model of the user setting (ratings from user and item "
                "features), which cannot be imported here; accepted are models of the scenario "
                "setting."
            )
        if not name.startswith(("state/", *_RECORDED)):
            raise ValueError(
                f"`{name}` is not a name of the layout. "
                f"Accepted: state/<name of the state dict>, {_TABLES[0]} and {_TABLES[1]}."
            )


def _table_shape(arrays: Arrays, name: str) -> tuple[int, ...]:
    if name not in arrays:
        raise ValueError(f"`{name}` is missing. Accepted: an embedding table [rows + 1, size].")
    shape = arrays[name].shape
    if len(shape) != 2 or shape[0] < 2 or shape[1] < 1:
        raise ValueError(
            f"`{name}` must be a table [rows + 1, size] whose last row is zeros (padding). "
            f"Received: shape {shape}."
        )
    return shape


def _table(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    _table_shape(arrays, name)
    if arrays[name][-1].any():
        raise ValueError(
            f"`{name}` must be a table [rows + 1, size] whose last row is zeros (padding). "
            "Received: other numbers in the last row."
        )
    return arrays[name]


def _repeated_tables() -> dict[str, str]:
    """Where a whole state dict repeats the embedding tables, and which one stands there."""
    return {
        f"{prefix}useritem_embeds.{kind}_embeds.weight": kind
        for prefix in ("", "context_encoder.")
        for kind in ("user", "item")
    }


def _drop_repeated_tables(state: dict[str, np.ndarray], user: np.ndarray, item: np.ndarray) -> None:
    """A whole state dict repeats the embedding tables, the encoder's copy too: they must agree."""
    tables = {"user": user, "item": item}
    for name, kind in _repeated_tables().items():
        if not np.array_equal(state.pop(name, tables[kind]), tables[kind]):
            raise ValueError(
                f"`state/{name}` must be absent or equal to `in/{kind}_embeddings`. "
                "Received: other values."
            )


def _check_state(state: Arrays, config: ModelConfig, d: int) -> None:
    """Exactly the arrays of this configuration, in exactly their shapes."""
    shapes = expected_shapes(config, d)
    model = f"a {config.modulation} model with a {config.encoder} encoder"
    for name, shape in shapes.items():
        if name not in state:
            raise ValueError(f"`state/{name}` is missing. Accepted for {model}: shape {shape}.")
        if state[name].shape != shape:
            raise ValueError(
                f"`state/{name}` must have shape {shape} in {model}, for embeddings of {d} "
                f"together. Received: shape {state[name].shape}."
            )
    for name in state:
        if name not in shapes:
            raise ValueError(
                f"`state/{name}` is not part of {model}. Accepted: {', '.join(shapes)}."
            )


def _convert(state: dict[str, np.ndarray], config: ModelConfig, d: int) -> dict[str, np.ndarray]:
    """Our names and orientation, see `ReferenceWeights.weights`."""
    weights: dict[str, np.ndarray] = {}
    if config.encoder == "gru":
        W, U, b, c = (_keras_gates(state[f"context_encoder.gru.{name}"]) for name in GRU_ARRAYS)
        weights["context_encoder/gru/kernel"] = np.ascontiguousarray(W.T)
        weights["context_encoder/gru/recurrent_kernel"] = np.ascontiguousarray(U.T)
        weights["context_encoder/gru/bias"] = np.stack([b, c])
    kernels: dict[str, list[np.ndarray]] = {}
    biases: dict[str, list[np.ndarray]] = {}
    for layer in dense_layers(config, d):
        kernels.setdefault(layer.target, []).append(state[f"{layer.source}.weight"].T)
        biases.setdefault(layer.target, []).append(state[f"{layer.source}.bias"])
    for target in kernels:
        is_modular = config.modulation == "soft" and target.startswith("backbone/hidden/")
        stacked = np.stack(kernels[target]), np.stack(biases[target])
        weights[f"{target}/kernel"] = stacked[0] if is_modular else stacked[0][0]
        weights[f"{target}/bias"] = stacked[1] if is_modular else stacked[1][0]
    return weights


def _keras_gates(array: np.ndarray) -> np.ndarray:
    """Blocks r, z, n along the first axis in the order z, r, n."""
    r, z, n = np.split(array, 3)
    return np.concatenate([z, r, n])
