"""Every variable of a model by a name that says its place in the paper's network."""

import tensorflow as tf

from cmml_tf.layers.backbones.modulation import LinearBackbone
from cmml_tf.layers.backbones.soft_modules import SoftModularBackbone
from cmml_tf.layers.closed_form.scenario_ridge import ScenarioRidgeEncoder, ScenarioRidgeRecommender
from cmml_tf.layers.encoders.attention_encoder import AttentionContextEncoder
from cmml_tf.layers.encoders.context_encoder import SequentialContextEncoder
from cmml_tf.layers.mlp import MLP
from cmml_tf.layers.query_attention import QueryAttention
from cmml_tf.models.cmml import CMML

_RIDGE_NUMBERS = ("negative_target", "negative_log_weight", "base_share", "log_penalty", "gate")


def named_weights(model: CMML) -> dict[str, tf.Variable]:
    """Every variable of the network by a name that says its place; embedding tables left out.

    Names are those of the paper's parts, such as `context_encoder/gru/kernel`,
    `modulation/hyper/0/kernel`, `modulation/head/2/bias`, `backbone/hidden/1/kernel`,
    `backbone/output/bias`; beyond the paper there are `hybrid/...`, `affinity/...` and `head/...`.
    """
    encoder, recommender = model.context_encoder, model.recommender
    if isinstance(encoder, ScenarioRidgeEncoder) and isinstance(
        recommender, ScenarioRidgeRecommender
    ):
        return _ridge_weights(encoder, recommender)
    weights = {**_encoder_weights(encoder)}
    if isinstance(model.hybrid_context, QueryAttention):
        for name in ("query", "key", "value"):
            weights |= _dense(f"hybrid/{name}", getattr(model.hybrid_context, name))
    weights |= _recommender_weights(recommender)
    if model.affinity is not None:
        weights["affinity/factor"] = model.affinity.factor
    head = getattr(model, "head", None)
    if head is not None:
        names = ("projection", *_RIDGE_NUMBERS)
        weights |= {f"head/{name}": getattr(head, name) for name in names}
    return weights


def _dense(name: str, layer: tf.keras.layers.Dense) -> dict[str, tf.Variable]:
    return {f"{name}/kernel": layer.kernel, f"{name}/bias": layer.bias}


def _mlp(name: str, mlp: MLP) -> dict[str, tf.Variable]:
    weights: dict[str, tf.Variable] = {}
    for index, layer in enumerate(mlp.dense_layers):
        weights |= _dense(f"{name}/{index}", layer)
    return weights


def _encoder_weights(encoder: tf.keras.layers.Layer | None) -> dict[str, tf.Variable]:
    if encoder is None:
        return {}
    if isinstance(encoder, AttentionContextEncoder):
        return {
            **_mlp("context_encoder/pair", encoder.pair_mlp),
            **_dense("context_encoder/points", encoder.points),
            **_mlp("context_encoder/vector", encoder.vector_mlp),
        }
    weights: dict[str, tf.Variable] = {}
    if isinstance(encoder, SequentialContextEncoder):
        weights["context_encoder/gru/kernel"] = encoder.kernel
        weights["context_encoder/gru/recurrent_kernel"] = encoder.recurrent_kernel
        weights["context_encoder/gru/bias"] = encoder.bias
    return weights | _mlp("context_encoder/mlp", encoder.mlp)


def _recommender_weights(recommender: tf.keras.layers.Layer) -> dict[str, tf.Variable]:
    weights: dict[str, tf.Variable] = {}
    if isinstance(recommender, SoftModularBackbone):
        layers = zip(recommender.kernels, recommender.biases, strict=True)
        for index, (kernel, bias) in enumerate(layers):
            weights[f"backbone/hidden/{index}/kernel"] = kernel
            weights[f"backbone/hidden/{index}/bias"] = bias
        hyper: tf.keras.layers.Layer | None = recommender.route_network
    else:
        for index, layer in enumerate(recommender.hidden_layers):
            weights |= _dense(f"backbone/hidden/{index}", layer)
        hyper = getattr(recommender, "hyper_network", None)
    if recommender.output_layer is not None:
        weights |= _dense("backbone/output", recommender.output_layer)
    if isinstance(recommender, LinearBackbone):
        weights |= _mlp("modulation/hyper", recommender.hyper_network)
    elif hyper is not None:
        for index, (layer, head) in enumerate(zip(hyper.chain, hyper.heads, strict=True)):
            weights |= _dense(f"modulation/hyper/{index}", layer)
            weights |= _dense(f"modulation/head/{index}", head)
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
        weights |= _dense(f"basis/backbone/{name}", layer)
    for name, mlp in (("user_tastes", basis.user_tastes), ("item_tastes", basis.item_tastes)):
        for index, layer in enumerate(mlp.dense_layers):
            weights |= _dense(f"basis/{name}/{index}", layer)
    return weights
