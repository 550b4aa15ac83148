"""How the reference PyTorch implementation names and shapes the weights of a scenario model.

Its `Linear` weights are (units, inputs), its GRU gates stand in the order r, z, n. Here: where each
array goes, and what shape it must have. Nothing is read.
"""

from typing import NamedTuple

from cmml_tf.config import ModelConfig

HIDDEN_LAYERS = 3
"""Hidden layers of a scenario backbone, fixed in the reference implementation."""

GRU_ARRAYS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")

# By modulation: names of hyper-network layer, head, backbone layer (numbers 1, 2, 3) and output.
_MODULATED = {
    "film": ("hypernet.f{}", "hypernet.f{}1", "mlp.f{}", "final_layer"),
    "sigmoid": ("hypernet.f{}", "hypernet.f{}1", "mlp.f{}", "final_layer"),
    "soft": ("hypernet.fc{}", "hypernet.fc{}2", "mlp.fc{}", "mlp.final_layer"),
}


class Dense(NamedTuple):
    """One `Linear` of the reference implementation and the layer of ours that it becomes.

    Attributes:
      source: Its name; `<source>.weight` is (units, inputs), `<source>.bias` (units).
      target: Our name; the modules of a soft-modularised layer share one, in order.
      inputs: Input width.
      units: Output width.
    """

    source: str
    target: str
    inputs: int
    units: int


def hyper_inputs(config: ModelConfig, d: int) -> int:
    """Width of the hybrid context (equation 8) for pair embeddings and contexts of size d."""
    return 2 * d if config.hybrid == "mlp" else d


def head_units(config: ModelConfig, layer: int) -> int:
    """Outputs of the hyper-network's head for one backbone layer (equations 10 to 12)."""
    if config.modulation == "film":
        return 2 * config.backbone_units[layer]
    if config.modulation == "sigmoid":
        return config.backbone_units[layer]
    targets = 1 if layer == HIDDEN_LAYERS - 1 else config.modules
    return config.modules * targets


def dense_layers(config: ModelConfig, d: int) -> list[Dense]:
    """Every `Linear` of a model for pair embeddings of size d (the context has the same size)."""
    units = config.encoder_units
    widths = [units, units, d] if config.encoder == "gru" else [d + 2, units, units, d]
    layers = _sequential("context_encoder.mlp", "context_encoder/mlp", widths)
    inputs, hidden = hyper_inputs(config, d), config.hyper_units
    backbone = [d, *config.backbone_units]
    if config.modulation == "linear":
        made = config.backbone_units[-1] + 1
        layers += _sequential("hypernet", "modulation/hyper", [inputs, hidden, hidden, made])
        return layers + _sequential("mlp", "backbone/hidden", backbone)

    hyper, head, body, output = _MODULATED[config.modulation]
    modules = [f".{m}" for m in range(config.modules)] if config.modulation == "soft" else [""]
    for layer in range(HIDDEN_LAYERS):
        number, first = layer + 1, layer == 0
        layers += [
            Dense(
                hyper.format(number),
                f"modulation/hyper/{layer}",
                inputs if first else hidden,
                hidden,
            ),
            Dense(
                head.format(number), f"modulation/head/{layer}", hidden, head_units(config, layer)
            ),
        ]
        layers += [
            Dense(
                body.format(number) + module,
                f"backbone/hidden/{layer}",
                backbone[layer],
                backbone[layer + 1],
            )
            for module in modules
        ]
    return [*layers, Dense(output, "backbone/output", backbone[-1], 1)]


def expected_shapes(config: ModelConfig, d: int) -> dict[str, tuple[int, ...]]:
    """The name and shape of every array of a model, embedding tables apart."""
    shapes: dict[str, tuple[int, ...]] = {}
    if config.encoder == "gru":
        H = config.encoder_units
        for name, shape in zip(
            GRU_ARRAYS, [(3 * H, d + 2), (3 * H, H), (3 * H,), (3 * H,)], strict=True
        ):
            shapes[f"context_encoder.gru.{name}"] = shape
    for layer in dense_layers(config, d):
        shapes[f"{layer.source}.weight"] = (layer.units, layer.inputs)
        shapes[f"{layer.source}.bias"] = (layer.units,)
    return shapes


def _sequential(source: str, target: str, widths: list[int]) -> list[Dense]:
    """A torch `Sequential` of Linear and activation in turn: its layers are 0, 2, 4, ..."""
    return [
        Dense(f"{source}.{2 * layer}", f"{target}/{layer}", widths[layer], widths[layer + 1])
        for layer in range(len(widths) - 1)
    ]
