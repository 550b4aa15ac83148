"""From a `ModelConfig` of the encoder `matching` to a `MatchingCMML` with its weights created."""

import numpy as np
import tensorflow as tf

from cmml_tf.config import ModelConfig
from cmml_tf.layers.matching.matching import Matching
from cmml_tf.layers.matching.row_tables import RowTables
from cmml_tf.models.matching_cmml import MatchingCMML


def build_matching(
    config: ModelConfig,
    user_rows: np.ndarray,
    item_rows: np.ndarray,
    dimension: int,
    catalogue: int | None = None,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
    seed: int = 0,
) -> MatchingCMML:
    """Composes the model and fills its tables.

    Initial values come from Keras' global seed (`tf.keras.utils.set_random_seed`).

    Args:
      config: Sizes.
      user_rows, item_rows: float32 [U, ...], [I, ...], rows of the tables.
      dimension: d, the leading columns of both that are factors.
      catalogue: The leading item rows that are the catalogue; None: all.
      task: Loss of the model's scores; needed to train.
      gradient_clip: Clip gradient values to [-c, c].
      seed: With the training step, fixes what dropout leaves out, and the noise.
    """
    matching = Matching(
        dimension,
        config.taste_features,
        config.taste_products,
        config.correction_units,
        config.dropout,
        seed,
        config.item_noise,
        name="matching",
    )
    return _model(matching, user_rows, item_rows, catalogue, task, gradient_clip)


def with_tables(
    matching: Matching, user_rows: np.ndarray, item_rows: np.ndarray, catalogue: int
) -> MatchingCMML:
    """A model with a copy of trained weights and with tables of its own, which cannot be trained.

    Args:
      matching: Trained.
      user_rows, item_rows: float32 [U, ...], [I, ...].
      catalogue: The leading item rows that stand for the catalogue.
    """
    copy = Matching.from_config(matching.get_config())
    model = _model(copy, user_rows, item_rows, catalogue, None, None)
    copy.set_weights(matching.get_weights())
    return model


def _model(
    matching: Matching,
    user_rows: np.ndarray,
    item_rows: np.ndarray,
    catalogue: int | None,
    task: tf.keras.layers.Layer | None,
    gradient_clip: float | None,
) -> MatchingCMML:
    tables = RowTables(
        users=len(user_rows),
        items=len(item_rows),
        user_width=user_rows.shape[1],
        item_width=item_rows.shape[1],
        catalogue=catalogue,
        name="tables",
    )
    model = MatchingCMML(tables, matching, task=task, gradient_clip=gradient_clip)
    model.build()
    tables.set_tables(user_rows, item_rows)
    return model
