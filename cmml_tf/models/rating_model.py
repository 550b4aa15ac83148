"""The CMML model of the user setting: from a `RatingModelConfig` to its weights."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.layers.backbones.modulation import RatingLinearBackbone
from cmml_tf.layers.closed_form.rating_ridge import (
    RidgeBasis,
    RidgeContextEncoder,
    RidgeRecommender,
)
from cmml_tf.layers.encoders.context_encoder import PoolingContextEncoder
from cmml_tf.layers.feature_embedding import FeaturePairEmbedding
from cmml_tf.layers.hybrid_context import HybridContext
from cmml_tf.layers.label_features import RatingFeatures, RatingItself
from cmml_tf.layers.precision import require_float32
from cmml_tf.models.build import ENCODER, HYBRID, RECOMMENDER, encoder_of, recommender_of
from cmml_tf.models.cmml import CMML
from cmml_tf.models.weight_names import named_weights
from cmml_tf.types import FeatureColumn


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
      ValueError: `ridge` without item ids, an ordinal model, which `build_ordinal_model` makes, or
        Keras' dtype policy is not float32.
    """
    require_float32()
    if config.kind == "ordinal":
        raise ValueError(
            "`kind` must be network or ridge: an ordinal model is made of fitted tables. "
            "Received: kind='ordinal'."
        )
    columns = {
        "item_columns": item_columns,
        "user_columns": user_columns,
        "dimension": config.feature_dimension,
        "users": users,
    }
    training = {"task": task, "gradient_clip": gradient_clip}
    parts = _ridge_parts if config.kind == "ridge" else _network_parts
    model = parts(config, columns, training)
    model.build()
    return model


def _network_parts(
    config: RatingModelConfig, columns: dict[str, Any], training: dict[str, Any]
) -> CMML:
    embedding = FeaturePairEmbedding(**columns, name="pair_embedding")
    network = config.network
    encoder = encoder_of(network, embedding.dimension, hidden_layers=1, prior=config.context_prior)
    labels = RatingFeatures(config.label_units, name="label_features")
    return CMML(
        embedding,
        encoder,
        HybridContext(network.hybrid, network.hybrid_scale, name=HYBRID),
        recommender_of(network, RatingLinearBackbone),
        label_features=None if encoder is None else labels,
        stop_support_gradient=True,
        **training,
    )


def _ridge_parts(
    config: RatingModelConfig, columns: dict[str, Any], training: dict[str, Any]
) -> CMML:
    item_columns = columns["item_columns"]
    if not item_columns or item_columns[0].feature.kind != "id":
        raise ValueError(
            "`ridge` must have an item feature of the kind id, in the first place. "
            f"Received: {', '.join(column.feature.name for column in item_columns) or 'none'}."
        )
    # An id's embedding holds the item's offset, then its factors.
    embedding = FeaturePairEmbedding(
        **columns, id_dimension=config.ridge_features + 1, name="pair_embedding"
    )
    basis = RidgeBasis(embedding.item_dimension, config.ridge_features, name="basis")
    return CMML(
        embedding,
        RidgeContextEncoder(basis, config.bias_penalty, config.ridge_penalty, name=ENCODER),
        HybridContext("none", name=HYBRID),
        RidgeRecommender(basis, name=RECOMMENDER),
        label_features=RatingItself(name="label_features"),
        **training,
    )


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
