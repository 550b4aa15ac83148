"""From a `RatingModelConfig` with `ordinal` to an `OrdinalCMML` with its weights created."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.layers.label_features import RatingItself
from cmml_tf.layers.ordinal.fold_in_encoder import FoldInEncoder
from cmml_tf.layers.ordinal.neighbour_context import NeighbourContext
from cmml_tf.layers.ordinal.ordinal_recommender import OrdinalRecommender
from cmml_tf.layers.ordinal.rated_pair import item_width
from cmml_tf.layers.ordinal.rating_tables import RatingTables
from cmml_tf.layers.precision import require_float32
from cmml_tf.models.build import ENCODER, HYBRID, RECOMMENDER
from cmml_tf.models.ordinal_cmml import OrdinalCMML


def build_ordinal_model(
    config: RatingModelConfig,
    users: int,
    items: int,
    kernel_items: int,
    content_width: int,
    levels: Sequence[float],
    share: Sequence[float],
    mean: float,
    deviation: float,
    groups: int = 1,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
) -> OrdinalCMML:
    """Composes the layers and creates every weight; the tables are zeros.

    Args:
      config: Sizes.
      users, items: Known ones.
      kernel_items: Items with a place in the kernel.
      content_width: Columns of the items' content.
      levels: Of the scale, L ascending numbers.
      share: How often each is given.
      mean, deviation: Of ratings.
      groups: Of item rows, see `RatingTables`.
      task: Loss of the model's logits; needed to train.
      gradient_clip: Clip gradient values to [-c, c].

    Raises:
      ValueError: Keras' dtype policy is not float32.
    """
    require_float32()
    sizes = [1, *config.factor_sizes]
    hybrid = NeighbourContext(
        sizes,
        len(levels),
        config.neighbours,
        items,
        kernel_items,
        content_width,
        groups,
        name=HYBRID,
    )
    model = OrdinalCMML(
        RatingTables(
            users,
            items,
            sum(sizes),
            item_width(sizes, len(levels)),
            groups,
            name="pair_embedding",
        ),
        FoldInEncoder(sizes, levels, share, mean, deviation, config.neighbours, name=ENCODER),
        hybrid,
        OrdinalRecommender(
            hybrid.predictions, levels, mean, deviation, config.combiner_units, name=RECOMMENDER
        ),
        label_features=RatingItself(name="label_features"),
        task=task,
        gradient_clip=gradient_clip,
    )
    model.build()
    return model


def set_ordinal_tables(
    model: OrdinalCMML,
    user_priors: np.ndarray,
    user_group: np.ndarray,
    item_rows: np.ndarray,
    item_place: np.ndarray,
    kernel: np.ndarray,
    item_content: np.ndarray,
) -> None:
    """Fills the frozen tables of a model with what was fitted; see `OrdinalTables` for shapes."""
    tables: RatingTables = model.pair_embedding
    tables.set_tables(user_priors, item_rows, user_group)
    model.hybrid_context.set_tables(item_place, kernel, item_content)
