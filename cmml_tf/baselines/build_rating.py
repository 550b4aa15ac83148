"""From a user-setting baseline's configuration to a model with its weights created."""

from collections.abc import Sequence

import tensorflow as tf

from cmml_tf.baselines.dcn import DCN, DeepCrossNetwork
from cmml_tf.baselines.gradient_based.fine_tuning import FineTunedDCN
from cmml_tf.baselines.gradient_based.melu import MeLU
from cmml_tf.baselines.gradient_based.metacs import MetaCS
from cmml_tf.baselines.gradient_based.support_loss import support_squared_error
from cmml_tf.baselines.interaction_mlp import InteractionMLP
from cmml_tf.config.baselines import MeluConfig, RatingBaselineConfig
from cmml_tf.layers.feature_embedding import FeaturePairEmbedding
from cmml_tf.layers.precision import require_float32
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.types import FeatureColumn


def build_rating_baseline(
    config: RatingBaselineConfig,
    item_columns: Sequence[FeatureColumn],
    user_columns: Sequence[FeatureColumn],
    users: int = 1,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
    first_rating: float = 0.0,
) -> AdaptingModel:
    """Creates every weight of a baseline of the user setting.

    Initial values come from Keras' global seed (`tf.keras.utils.set_random_seed`). Training a
    `FineTunedDCN` is training its `dcn`.

    Args:
      config: Which baseline, and its sizes.
      item_columns, user_columns: Declared features with their values for every known item and user.
      users: Known users, where there is no user column to tell.
      task: Loss of the model's scores; needed to train.
      gradient_clip: Clip gradient values to [-c, c].
      first_rating: First value of the output layer's bias, such as the mean rating.

    Raises:
      ValueError: Keras' dtype policy is not float32.
    """
    require_float32()
    embedding = FeaturePairEmbedding(
        item_columns, user_columns, config.feature_dimension, users, name="pair_embedding"
    )
    if isinstance(config, MeluConfig):
        network = InteractionMLP(config.units, name="network")
    else:
        sizes = config.network
        network = DeepCrossNetwork(
            sizes.cross_layers, sizes.deep_units, config.projection, name="network"
        )
    given = {"task": task, "gradient_clip": gradient_clip}
    if isinstance(config, MeluConfig):
        kind = MetaCS if config.adapt_embeddings else MeLU
        model = kind(embedding, network, config, **given)
    else:
        model = DCN(embedding, network, **given)
        if config.fine_tuning is not None:
            model = FineTunedDCN(model, config.fine_tuning, support_squared_error)
    model.build()
    output_bias = network.trainable_variables[-1]
    output_bias.assign(tf.fill(output_bias.shape, first_rating))
    return model
