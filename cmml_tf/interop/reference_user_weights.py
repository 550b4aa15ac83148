"""Weights of the reference implementation's user models, read from .npz into our orientation.

The file holds the state dict as `state/<name>`; the embedding tables may stand in a file of their
own. No TensorFlow.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmml_tf.config import ModelConfig
from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.interop.npz_arrays import array_names, read_float_arrays

ITEM_FEATURES = ("rate", "genre", "director", "actor")
USER_FEATURES = ("gender", "age", "occupation", "zip")
_TABLE = re.compile(r"user_item_embed\.(item|user)_emb\.embedding_(\w+)\.weight")
_COPY = "context_encoder.user_item_embed."
_MEAN_OF_COLUMNS = ("genre", "director", "actor")
# Ours -> the reference's names, by what the modulation is told by.
_CHAINS = {
    "film": ("hypernet.f{}", "hypernet.f{}1", "mlp.f{}", "final"),
    "soft": ("hypernet.fc{}", "hypernet.fc{}2", "mlp.fc{}", "mlp.final_layer"),
}
_LAYERS = 2


@dataclass(frozen=True)
class ReferenceUserWeights:
    """A user model of the reference implementation, ready for our layers.

    Attributes:
      config: The network these weights belong to.
      weights: float32 by the names of `named_rating_weights`. Feature tables have a row of zeros
        added for unknown values.
    """

    config: RatingModelConfig
    weights: dict[str, np.ndarray]

    def vocabulary_size(self, side: str, feature: str) -> int:
        """Known values of a feature; `side` is item or user."""
        return len(self.weights[f"{side}_features/{feature}"]) - 1


def holds_user_model(path: str | Path) -> bool:
    """Whether an .npz file holds a model of the user setting, which alone reads ratings.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not an .npz file.
    """
    return "state/context_encoder.score_mlp.0.weight" in array_names(Path(path))


def read_reference_user_weights(
    path: str | Path, tables: str | Path | None = None
) -> ReferenceUserWeights:
    """Reads a state dict of a user model with mean pooling and recognises its modulation.

    Args:
      path: An .npz file.
      tables: Another .npz file with the embedding tables, where `path` has none.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is no .npz file of plain arrays, an array is missing, unknown, of another shape
        or not finite, or the encoder is the reference's GRU, which reads only the last rating.
    """
    state = _state(Path(path))
    if tables is not None:
        state |= _state(Path(tables))
    if any(name.startswith("context_encoder.gru.") for name in state):
        raise ValueError(
            f"{Path(path).name} has the reference implementation's GRU encoder, which reads only "
            "the last rating of the support and cannot be imported. Accepted: its mean encoder."
        )
    weights = _tables(state)
    modulation = _modulation(state)
    dense = {
        "context_encoder.score_mlp.0": "label_features/0",
        "context_encoder.score_mlp.2": "label_features/1",
        "context_encoder.mlp.0": "context_encoder/mlp/0",
        "context_encoder.mlp.2": "context_encoder/mlp/1",
    }
    if modulation == "linear":
        dense |= {
            "hypernet.0": "modulation/hyper/0",
            "hypernet.2": "modulation/hyper/1",
            "main.0": "backbone/hidden/0",
            "main.2": "backbone/hidden/1",
        }
    else:
        chain, head, body, output = _CHAINS["soft" if modulation == "soft" else "film"]
        for layer in range(_LAYERS):
            dense[chain.format(layer + 1)] = f"modulation/hyper/{layer}"
            dense[head.format(layer + 1)] = f"modulation/head/{layer}"
            if modulation != "soft":
                dense[body.format(layer + 1)] = f"backbone/hidden/{layer}"
        dense[output] = "backbone/output"
    for source, target in dense.items():
        weights[f"{target}/kernel"] = _take(state, f"{source}.weight", 2).T
        weights[f"{target}/bias"] = _take(state, f"{source}.bias", 1)
    if modulation == "soft":
        for layer in range(_LAYERS):
            found = sorted(
                name for name in state if re.fullmatch(rf"mlp\.fc{layer + 1}\.\d\.weight", name)
            )
            kernels = [_take(state, name, 2).T for name in found]
            biases = [_take(state, name.replace("weight", "bias"), 1) for name in found]
            weights[f"backbone/hidden/{layer}/kernel"] = np.stack(kernels)
            weights[f"backbone/hidden/{layer}/bias"] = np.stack(biases)
    if state:
        raise ValueError(
            f"`state/{sorted(state)[0]}` is not part of a {modulation} user model with a mean "
            "encoder."
        )
    return ReferenceUserWeights(_config(weights, modulation), weights)


def _state(path: Path) -> dict[str, np.ndarray]:
    arrays = read_float_arrays(path, lambda name: name.startswith("state/"))
    state = {name.removeprefix("state/"): array for name, array in arrays.items()}
    return {name: array for name, array in state.items() if not name.startswith(_COPY)}


def _tables(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    tables = {}
    for name in [name for name in state if _TABLE.fullmatch(name)]:
        side, feature = _TABLE.fullmatch(name).groups()
        table = state.pop(name)
        if table.ndim != 2:
            raise ValueError(f"`state/{name}` must be a matrix. Received: shape {table.shape}.")
        if feature in _MEAN_OF_COLUMNS:
            table = table.T
        feature = "zip" if feature == "area" else feature
        tables[f"{side}_features/{feature}"] = np.concatenate([table, np.zeros_like(table[:1])])
    for side, features in (("item", ITEM_FEATURES), ("user", USER_FEATURES)):
        for feature in features:
            if f"{side}_features/{feature}" not in tables:
                raise ValueError(
                    f"The embedding table of the {side} feature {feature!r} is missing. Give the "
                    "file that holds the tables."
                )
    return tables


def _modulation(state: dict[str, np.ndarray]) -> str:
    if "main.0.weight" in state:
        return "linear"
    if "mlp.fc1.0.weight" in state:
        return "soft"
    if "hypernet.f11.weight" not in state or "mlp.f1.weight" not in state:
        raise ValueError(
            "`state/` must hold a user model. Accepted: main.0.weight (linear), mlp.fc1.0.weight "
            "(soft modularisation) or mlp.f1.weight (FiLM, sigmoid). "
            f"Received: {', '.join(sorted(state)) or 'no network'}."
        )
    is_film = len(state["hypernet.f11.weight"]) == 2 * len(state["mlp.f1.weight"])
    return "film" if is_film else "sigmoid"


def _take(state: dict[str, np.ndarray], name: str, rank: int) -> np.ndarray:
    if name not in state:
        raise ValueError(f"`state/{name}` is missing.")
    array = state.pop(name)
    if array.ndim != rank:
        raise ValueError(f"`state/{name}` must have rank {rank}. Received: shape {array.shape}.")
    return array


def _config(weights: dict[str, np.ndarray], modulation: str) -> RatingModelConfig:
    def units(name: str) -> int:
        return weights[f"{name}/bias"].shape[-1]

    stacked = weights["backbone/hidden/0/kernel"]
    network = ModelConfig(
        encoder="mean",
        encoder_units=units("context_encoder/mlp/0"),
        hybrid="dot",
        modulation=modulation,
        hyper_units=units("modulation/hyper/0"),
        backbone_units=tuple(units(f"backbone/hidden/{layer}") for layer in range(_LAYERS)),
        modules=len(stacked) if modulation == "soft" else ModelConfig.modules,
    )
    return RatingModelConfig(
        network=network,
        feature_dimension=weights["item_features/rate"].shape[1],
        label_units=units("label_features/1"),
    )
