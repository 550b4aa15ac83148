"""The CMML model of the ranking setting: from a `RankingModelConfig` to its weights."""

import tensorflow as tf

from cmml_tf.config.ranking import RankingModelConfig
from cmml_tf.layers.catalogue.item_content import ItemContent
from cmml_tf.layers.catalogue.item_evidence import ItemEvidence
from cmml_tf.layers.catalogue.item_tables import ItemTablesLayer
from cmml_tf.layers.catalogue.known_items_context import KnownItemsContext
from cmml_tf.layers.catalogue.table_backbone import TableBackbone
from cmml_tf.models.ranking_cmml import RankingCMML


def build_ranking_model(
    config: RankingModelConfig,
    users: int,
    items: int,
    table_items: int,
    folds: int = 1,
    content: int = 0,
    compared: int | None = None,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
) -> RankingCMML:
    """A model whose weights exist; its tables are zeros.

    Args:
      config: What the network is.
      users, items: Known ones.
      table_items: The most taken items, which are in the tables.
      folds: Versions of the tables.
      content: Numbers of an item's content and one more; 0: there is none.
      compared: The leading items that there were in training; None: all.
      task, gradient_clip: As of `EpisodeModel`.
    """
    model = RankingCMML(
        ItemTablesLayer(users, items, config.tables, table_items, folds, content, compared),
        KnownItemsContext(),
        ItemEvidence(),
        TableBackbone(config.weight_units, config.item_units),
        ItemContent(config.weight_units) if content else None,
        task=task,
        gradient_clip=gradient_clip,
    )
    model.build()
    return model
