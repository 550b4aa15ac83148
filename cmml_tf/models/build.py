"""From a `ModelConfig` to a `CMML` with its weights created."""

import tensorflow as tf

from cmml_tf.config import ModelConfig
from cmml_tf.layers.backbone import Backbone
from cmml_tf.layers.context_encoder import PoolingContextEncoder, SequentialContextEncoder
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.layers.hybrid_context import HybridContext
from cmml_tf.layers.modulation import FilmBackbone, LinearBackbone, SigmoidBackbone
from cmml_tf.layers.scenario_ridge import (
    ScenarioBasis,
    ScenarioRidgeEncoder,
    ScenarioRidgeRecommender,
)
from cmml_tf.layers.soft_modules import SoftModularBackbone
from cmml_tf.models.cmml import CMML

_LABEL_FEATURES = 2


def build_model(
    config: ModelConfig,
    users: int,
    items: int,
    user_dimension: int = 64,
    item_dimension: int = 64,
    trainable_tables: bool = False,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
) -> CMML:
    """Composes the layers of `config` and creates every weight; the embedding tables are zeros.

    Initial values come from Keras' global seed (`tf.keras.utils.set_random_seed`).

    Args:
      config: Which encoder, hybrid context and modulation, and their sizes.
      users, items: Known ids; each table has one more row, of zeros, for unknown ids.
      user_dimension, item_dimension: d_u and d_i; the context is as wide as both together.
      trainable_tables: Train the embedding tables too.
      task: Loss of the model's scores; needed to train.
      gradient_clip: Clip gradient values to [-c, c].

    Example:

    >>> model = build_model(ModelConfig(encoder="mean"), users=3, items=5)
    >>> model.context_dimension
    128
    """
    d = user_dimension + item_dimension
    embedding = PairEmbedding(users, items, user_dimension, item_dimension, trainable_tables)
    embedding.build(None)
    if config.encoder == "ridge":
        basis = ScenarioBasis(config.backbone_units, config.ridge_features, config.dropout)
        encoder = ScenarioRidgeEncoder(basis)
        recommender = ScenarioRidgeRecommender(basis)
    else:
        encoder, recommender = None, _recommender(config)
    if config.encoder == "gru":
        encoder = SequentialContextEncoder(d, config.encoder_units)
    elif config.encoder in ("mean", "max"):
        encoder = PoolingContextEncoder(d, config.encoder_units, config.encoder)
    if encoder is not None:
        encoder.build([None, None, d + _LABEL_FEATURES])
    hybrid = HybridContext(config.hybrid)
    if config.modulation in ("none", "ridge"):
        recommender.build([None, None, d])
    else:
        recommender.build([None, None, d], [None, None, hybrid.output_width(d, d)])
    return CMML(
        embedding,
        encoder,
        hybrid,
        recommender,
        positives_only=config.positives_only,
        task=task,
        gradient_clip=gradient_clip,
    )


def _recommender(config: ModelConfig) -> tf.keras.layers.Layer:
    units, hyper_units, bias = (
        config.backbone_units,
        config.hyper_units,
        config.bias_initial_value,
    )
    if config.modulation == "film":
        return FilmBackbone(units, hyper_units, bias)
    if config.modulation == "sigmoid":
        return SigmoidBackbone(units, hyper_units, bias)
    if config.modulation == "linear":
        return LinearBackbone(units, hyper_units)
    if config.modulation == "soft":
        return SoftModularBackbone(units, config.modules, hyper_units)
    return Backbone(units, bias)


def named_weights(model: CMML) -> dict[str, tf.Variable]:
    """Every variable of the network by a name that says its place; embedding tables left out.

    Names are those of the paper's parts, such as `context_encoder/gru/kernel`,
    `modulation/hyper/0/kernel`, `modulation/head/2/bias`, `backbone/hidden/1/kernel`,
    `backbone/output/bias`.
    """
    weights: dict[str, tf.Variable] = {}

    def add_dense(prefix: str, layer: tf.keras.layers.Dense) -> None:
        weights[f"{prefix}/kernel"] = layer.kernel
        weights[f"{prefix}/bias"] = layer.bias

    encoder, recommender = model.context_encoder, model.recommender
    if isinstance(encoder, SequentialContextEncoder):
        weights["context_encoder/gru/kernel"] = encoder.kernel
        weights["context_encoder/gru/recurrent_kernel"] = encoder.recurrent_kernel
        weights["context_encoder/gru/bias"] = encoder.bias
    if isinstance(recommender, ScenarioRidgeRecommender):
        return weights | _ridge_weights(encoder, recommender)
    if encoder is not None:
        for index, layer in enumerate(encoder.mlp.dense_layers):
            add_dense(f"context_encoder/mlp/{index}", layer)
    if isinstance(recommender, SoftModularBackbone):
        for index, (kernel, bias) in enumerate(
            zip(recommender.kernels, recommender.biases, strict=True)
        ):
            weights[f"backbone/hidden/{index}/kernel"] = kernel
            weights[f"backbone/hidden/{index}/bias"] = bias
        hyper = recommender.route_network
    else:
        for index, layer in enumerate(recommender.hidden_layers):
            add_dense(f"backbone/hidden/{index}", layer)
        hyper = getattr(recommender, "hyper_network", None)
    if recommender.output_layer is not None:
        add_dense("backbone/output", recommender.output_layer)
    if isinstance(recommender, LinearBackbone):
        for index, layer in enumerate(hyper.dense_layers):
            add_dense(f"modulation/hyper/{index}", layer)
    elif hyper is not None:
        for index, (layer, head) in enumerate(zip(hyper.chain, hyper.heads, strict=True)):
            add_dense(f"modulation/hyper/{index}", layer)
            add_dense(f"modulation/head/{index}", head)
    return weights


def _ridge_weights(
    encoder: ScenarioRidgeEncoder, recommender: ScenarioRidgeRecommender
) -> dict[str, tf.Variable]:
    basis = recommender.basis
    weights = {
        "basis/affinity": basis.affinity,
        "basis/base_feature": basis.base_feature,
        "basis/projection": basis.projection,
        "context_encoder/negative_target": encoder.negative_target,
        "context_encoder/negative_log_weight": encoder.negative_log_weight,
        "context_encoder/base_share": encoder.base_share,
        "context_encoder/log_penalty": encoder.log_penalty,
        "recommender/gate": recommender.gate,
    }
    layers = [*basis.backbone.hidden_layers, basis.backbone.output_layer]
    names = [f"hidden/{index}" for index in range(len(layers) - 1)] + ["output"]
    for name, layer in zip(names, layers, strict=True):
        weights[f"basis/backbone/{name}/kernel"] = layer.kernel
        weights[f"basis/backbone/{name}/bias"] = layer.bias
    return weights
