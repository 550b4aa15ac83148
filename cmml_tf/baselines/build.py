"""From a baseline's configuration to a model with its weights created."""

import tensorflow as tf

from cmml_tf.baselines.conet import CoNet
from cmml_tf.baselines.dcn import DCN, DeepCrossNetwork
from cmml_tf.baselines.gradient_based.fine_tuning import FineTunedDCN
from cmml_tf.baselines.gradient_based.s2meta import S2Meta
from cmml_tf.config.baselines import BaselineConfig, CoNetConfig, FineTuningConfig, S2MetaConfig
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.layers.precision import require_float32
from cmml_tf.models.adapting_model import AdaptingModel


def build_baseline(
    config: BaselineConfig,
    users: int,
    items: int,
    user_dimension: int = 64,
    item_dimension: int = 64,
    trainable_tables: bool = False,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
) -> AdaptingModel:
    """Creates every weight of a baseline of the scenario setting; the embedding tables are zeros.

    Initial values come from Keras' global seed (`tf.keras.utils.set_random_seed`). Training a
    `FineTunedDCN` is training its `dcn`; `CoNet` trains on episodes of its own kind.

    Args:
      config: Which baseline, and its sizes.
      users, items: Known ids; each table has one more row, of zeros, for unknown ids.
      user_dimension, item_dimension: d_u and d_i.
      trainable_tables: Train the embedding tables too.
      task: Loss of the model's scores; needed to train.
      gradient_clip: Clip gradient values to [-c, c].

    Raises:
      ValueError: Keras' dtype policy is not float32.

    Example:

    >>> from cmml_tf.config.baselines import DcnConfig
    >>> len(build_baseline(DcnConfig(), users=3, items=5).network.weights)
    12
    """
    require_float32()
    embedding = PairEmbedding(
        users, items, user_dimension, item_dimension, trainable_tables, name="pair_embedding"
    )
    training = {"task": task, "gradient_clip": gradient_clip}
    if isinstance(config, S2MetaConfig):
        model = S2Meta(embedding, config, **training)
    elif isinstance(config, CoNetConfig):
        model = CoNet(embedding, config, **training)
    else:
        sizes = config.network if isinstance(config, FineTuningConfig) else config
        network = DeepCrossNetwork(sizes.cross_layers, sizes.deep_units, name="network")
        model = DCN(embedding, network, **training)
        if isinstance(config, FineTuningConfig):
            model = FineTunedDCN(model, config)
    model.build()
    return model
