"""From a `ModelConfig` to a `CMML` with its weights created."""

from typing import Any

import tensorflow as tf

from cmml_tf.config import ModelConfig
from cmml_tf.layers.affinity import Affinity
from cmml_tf.layers.backbones.backbone import Backbone
from cmml_tf.layers.backbones.modulation import FilmBackbone, LinearBackbone, SigmoidBackbone
from cmml_tf.layers.backbones.soft_modules import SoftModularBackbone
from cmml_tf.layers.closed_form.ridge_head import RidgeHead
from cmml_tf.layers.closed_form.scenario_basis import ScenarioBasis
from cmml_tf.layers.closed_form.scenario_ridge import ScenarioRidgeEncoder, ScenarioRidgeRecommender
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.layers.encoders.attention_encoder import AttentionContextEncoder
from cmml_tf.layers.encoders.context_encoder import PoolingContextEncoder, SequentialContextEncoder
from cmml_tf.layers.hybrid_context import HybridContext
from cmml_tf.layers.precision import require_float32
from cmml_tf.layers.query_attention import QueryAttention
from cmml_tf.models.cmml import CMML
from cmml_tf.models.ridge_cmml import RidgeCMML

ENCODER, HYBRID, RECOMMENDER = "context_encoder", "hybrid_context", "recommender"
"""Names of parts, those of `CMML`, the same in every model."""


def build_model(
    config: ModelConfig,
    users: int,
    items: int,
    user_dimension: int = 64,
    item_dimension: int = 64,
    trainable_tables: bool = False,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
    seed: int = 0,
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
      seed: With the training step, fixes what dropout leaves out.

    Raises:
      ValueError: Keras' dtype policy is not float32; or the encoder is `matching`, whose tables are
        more than embeddings (`cmml_tf.models.build_matching`).

    Example:

    >>> model = build_model(ModelConfig(encoder="mean"), users=3, items=5)
    >>> model.context_dimension
    128
    """
    require_float32()
    if config.encoder == "matching":
        raise ValueError(
            "`config` must be of a network that reads embeddings; a matching model is built by "
            "`cmml_tf.models.build_matching.build_matching`, or by a run. "
            "Received: encoder='matching'."
        )
    d = user_dimension + item_dimension
    embedding = PairEmbedding(
        users, items, user_dimension, item_dimension, trainable_tables, name="pair_embedding"
    )
    encoder: tf.keras.layers.Layer | None
    if config.encoder == "ridge":
        basis = ScenarioBasis(
            config.backbone_units,
            config.ridge_features,
            config.ridge_tastes,
            config.dropout,
            seed,
            name="basis",
        )
        encoder = ScenarioRidgeEncoder(basis, name=ENCODER)
        recommender = ScenarioRidgeRecommender(basis, name=RECOMMENDER)
    else:
        encoder, recommender = encoder_of(config, d), recommender_of(config)
    parts = (embedding, encoder, _hybrid(config, d), recommender)
    options: dict[str, Any] = {
        "positives_only": config.positives_only,
        "affinity": Affinity(name="affinity") if config.affinity else None,
        "task": task,
        "gradient_clip": gradient_clip,
    }
    if config.head == "none":
        model = CMML(*parts, **options)
    else:
        width = {"item": item_dimension, "pair": d, "hidden": config.backbone_units[-1]}
        inputs = config.ridge_inputs
        head = RidgeHead(width[inputs], config.ridge_features, inputs, name="head")
        model = RidgeCMML(*parts, head=head, **options)
    model.build()
    return model


def encoder_of(
    config: ModelConfig, d: int, hidden_layers: int = 2, prior: bool = False
) -> tf.keras.layers.Layer | None:
    """The context encoder of a network; None where it has none.

    Args:
      config: The network.
      d: Width of the context.
      hidden_layers, prior: Of a pooling encoder.
    """
    units = config.encoder_units
    if config.encoder == "gru":
        return SequentialContextEncoder(
            d, units, config.gru_state, config.support_order, name=ENCODER
        )
    if config.encoder in ("mean", "max"):
        return PoolingContextEncoder(d, units, config.encoder, hidden_layers, prior, name=ENCODER)
    if config.encoder == "attention":
        return AttentionContextEncoder(
            d, config.context_vectors, units, config.attention_heads, name=ENCODER
        )
    return None


def _hybrid(config: ModelConfig, d: int) -> tf.keras.layers.Layer:
    if config.hybrid == "attention":
        return QueryAttention(
            config.context_vectors, d, config.attention_heads, config.hybrid_scale, name=HYBRID
        )
    return HybridContext(config.hybrid, config.hybrid_scale, name=HYBRID)


def recommender_of(
    config: ModelConfig, linear: type[LinearBackbone] = LinearBackbone
) -> tf.keras.layers.Layer:
    """The modulated backbone of a network; `linear` is how weights are written linearly."""
    units, hyper_units, bias = (
        config.backbone_units,
        config.hyper_units,
        config.bias_initial_value,
    )
    if config.modulation == "film":
        return FilmBackbone(units, hyper_units, bias, config.residual_scale, name=RECOMMENDER)
    if config.modulation == "sigmoid":
        return SigmoidBackbone(units, hyper_units, bias, name=RECOMMENDER)
    if config.modulation == "linear":
        return linear(units, hyper_units, name=RECOMMENDER)
    if config.modulation == "soft":
        return SoftModularBackbone(units, config.modules, hyper_units, name=RECOMMENDER)
    return Backbone(units, bias, name=RECOMMENDER)
