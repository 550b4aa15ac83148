"""The CMML model of the user setting: from a `RatingModelConfig` to its weights."""

from collections.abc import Sequence

import tensorflow as tf

from cmml_tf.config import ModelConfig
from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.layers.backbones.backbone import Backbone
from cmml_tf.layers.backbones.modulation import FilmBackbone, RatingLinearBackbone, SigmoidBackbone
from cmml_tf.layers.backbones.soft_modules import SoftModularBackbone
from cmml_tf.layers.closed_form.rating_ridge import (
    RidgeBasis,
    RidgeContextEncoder,
    RidgeRecommender,
)
from cmml_tf.layers.encoders.context_encoder import PoolingContextEncoder, SequentialContextEncoder
from cmml_tf.layers.feature_embedding import FeaturePairEmbedding
from cmml_tf.layers.hybrid_context import HybridContext
from cmml_tf.layers.label_features import RatingFeatures, RatingItself
from cmml_tf.layers.precision import require_float32
from cmml_tf.models.cmml import CMML
from cmml_tf.models.weight_names import named_weights
from cmml_tf.types import FeatureColumn

# Names of parts are those of `CMML`, the same in every model.
_ENCODER, _HYBRID, _RECOMMENDER = "context_encoder", "hybrid_context", "recommender"


def build_rating_model(
    config: RatingModelConfig,
    item_columns: Sequence[FeatureColumn],
    user_columns: Sequence[FeatureColumn],
    users: int = 1,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
) -> CMML:
    """Composes the layers of `config` and creates every weight.

    The encoder does not train the embeddings (their gradient is stopped on the support side), as in
    the paper's user setting; with `ridge` it does.

    Args:
      config: Which network, and its sizes.
      item_columns, user_columns: Declared features with their values for every known item and user.
        `ridge` needs an item feature of the kind `id`, and it first.
      users: Known users, where there is no user column to tell.
      task: Loss of the model's scores; needed to train.
      gradient_clip: Clip gradient values to [-c, c].

    Raises:
      ValueError: `ridge` without item ids, or Keras' dtype policy is not float32.
    """
    require_float32()
    if config.ridge:
        return _build_ridge(config, item_columns, user_columns, users, task, gradient_clip)
    embedding = FeaturePairEmbedding(
        item_columns, user_columns, config.feature_dimension, users, name="pair_embedding"
    )
    d, network = embedding.dimension, config.network
    encoder, labels = _encoder(config, d), None
    if encoder is not None:
        labels = RatingFeatures(config.label_units, name="label_features")
    model = CMML(
        embedding,
        encoder,
        HybridContext(network.hybrid, network.hybrid_scale, name=_HYBRID),
        _recommender(network),
        label_features=labels,
        positives_only=False,
        stop_support_gradient=True,
        task=task,
        gradient_clip=gradient_clip,
    )
    model.build()
    return model


def _build_ridge(
    config: RatingModelConfig,
    item_columns: Sequence[FeatureColumn],
    user_columns: Sequence[FeatureColumn],
    users: int,
    task: tf.keras.layers.Layer | None,
    gradient_clip: float | None,
) -> CMML:
    if not item_columns or item_columns[0].feature.kind != "id":
        raise ValueError(
            "`ridge` must have an item feature of the kind id, in the first place. "
            f"Received: {', '.join(column.feature.name for column in item_columns) or 'none'}."
        )
    # An id's embedding holds the item's offset, then its factors.
    embedding = FeaturePairEmbedding(
        item_columns,
        user_columns,
        config.feature_dimension,
        users,
        id_dimension=config.ridge_features + 1,
        name="pair_embedding",
    )
    basis = RidgeBasis(embedding.item_dimension, config.ridge_features, name="basis")
    model = CMML(
        embedding,
        RidgeContextEncoder(basis, config.bias_penalty, config.ridge_penalty, name=_ENCODER),
        HybridContext("none", name=_HYBRID),
        RidgeRecommender(basis, name=_RECOMMENDER),
        label_features=RatingItself(name="label_features"),
        task=task,
        gradient_clip=gradient_clip,
    )
    model.build()
    return model


def _encoder(config: RatingModelConfig, d: int) -> tf.keras.layers.Layer | None:
    network = config.network
    if network.encoder == "none":
        return None
    if network.encoder == "gru":
        return SequentialContextEncoder(d, network.encoder_units, network.gru_state, name=_ENCODER)
    return PoolingContextEncoder(
        d,
        network.encoder_units,
        network.encoder,
        hidden_layers=1,
        prior=config.context_prior,
        name=_ENCODER,
    )


def _recommender(network: ModelConfig) -> tf.keras.layers.Layer:
    units, hyper_units, bias = (
        network.backbone_units,
        network.hyper_units,
        network.bias_initial_value,
    )
    if network.modulation == "film":
        return FilmBackbone(units, hyper_units, bias, network.residual_scale, name=_RECOMMENDER)
    if network.modulation == "sigmoid":
        return SigmoidBackbone(units, hyper_units, bias, name=_RECOMMENDER)
    if network.modulation == "linear":
        return RatingLinearBackbone(units, hyper_units, name=_RECOMMENDER)
    if network.modulation == "soft":
        return SoftModularBackbone(units, network.modules, hyper_units, name=_RECOMMENDER)
    return Backbone(units, bias, name=_RECOMMENDER)


def named_rating_weights(model: CMML) -> dict[str, tf.Variable]:
    """Every variable of a network by a name that says its place; not for `ridge`.

    Names of `named_weights`, and `context_encoder/prior/context`,
    `context_encoder/prior/log_pairs`, `label_features/<l>/kernel`, `label_features/<l>/bias`,
    `item_features/<name>` and `user_features/<name>`: tables [values + 1, dimension], the last row
    for unknown values.
    """
    weights = named_weights(model)
    encoder = model.context_encoder
    if isinstance(encoder, PoolingContextEncoder) and encoder.prior:
        weights["context_encoder/prior/context"] = encoder.prior_context
        if encoder.pooling == "mean":
            weights["context_encoder/prior/log_pairs"] = encoder.log_prior_pairs
    if model.label_features is not None:
        for index, layer in enumerate(model.label_features.mlp.dense_layers):
            weights[f"label_features/{index}/kernel"] = layer.kernel
            weights[f"label_features/{index}/bias"] = layer.bias
    for side in ("item", "user"):
        for field in getattr(model.pair_embedding, f"{side}_fields"):
            weights[f"{side}_features/{field.feature.name}"] = field.table
    return weights
