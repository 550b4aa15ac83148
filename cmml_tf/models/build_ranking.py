"""The CMML model of the ranking setting: from a `RankingModelConfig` to its weights."""

from typing import NamedTuple

import tensorflow as tf

from cmml_tf.config.ranking import RankingModelConfig
from cmml_tf.layers.catalogue.item_content import ItemContent
from cmml_tf.layers.catalogue.item_evidence import ItemEvidence
from cmml_tf.layers.catalogue.item_tables import AddUp, ItemTablesLayer
from cmml_tf.layers.catalogue.known_items_context import KnownItemsContext
from cmml_tf.layers.catalogue.stand_in_worth import StandInWorth
from cmml_tf.layers.catalogue.table_backbone import TableBackbone
from cmml_tf.models.ranking_cmml import RankingCMML


class Tables(NamedTuple):
    """What item-item tables a model reads; see `ItemTablesLayer`.

    Attributes:
      users, items, table_items: Sizes.
      content: Numbers of an item's content and one more; 0: there is none.
      stand_ins: Items of the tables that stand in for one that is in none; 0: it is not read.
      compared: The leading items that there were in training; None: all.
      folds: Versions.
      add_up: Adds up rows of every version; None: of the one version there is rows are a weight.
      rows: That weight; None: zeros.
    """

    users: int
    items: int
    table_items: int
    content: int = 0
    stand_ins: int = 0
    compared: int | None = None
    folds: int = 1
    add_up: AddUp | None = None
    rows: tf.Variable | None = None


def build_ranking_model(
    config: RankingModelConfig,
    tables: Tables,
    task: tf.keras.layers.Layer | None = None,
    gradient_clip: float | None = None,
) -> RankingCMML:
    """A model whose weights exist; its tables know nothing beside the rows.

    Args:
      config: What the network is.
      tables: What it reads.
      task, gradient_clip: As of `EpisodeModel`.
    """
    model = RankingCMML(
        ItemTablesLayer(tables=config.tables, **tables._asdict()),
        KnownItemsContext(),
        ItemEvidence(),
        TableBackbone(config.weight_units, config.item_units),
        ItemContent(config.weight_units) if tables.content else None,
        StandInWorth(config.weight_units) if tables.stand_ins else None,
        task=task,
        gradient_clip=gradient_clip,
    )
    model.build()
    return model
