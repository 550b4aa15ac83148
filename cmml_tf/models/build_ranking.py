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
    tables: ItemTablesLayer,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
) -> RankingCMML:
    """A model whose weights exist.

    Args:
      config: What the network is.
      tables: The item-item tables, filled or not.
      task, gradient_clip: As of `EpisodeModel`.
    """
    model = RankingCMML(
        tables,
        KnownItemsContext(),
        ItemEvidence(),
        TableBackbone(config.weight_units, config.item_units),
        ItemContent(config.weight_units) if tables.content_width else None,
        task=task,
        gradient_clip=gradient_clip,
    )
    model.build()
    return model
