"""Features beside scenarios: of the data set's own files, or of tables that somebody names."""

from collections.abc import Mapping, Sequence

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.check_source import FeatureSource
from cmml_tf.datasets.feature_table import FeatureTable, Side, with_features
from cmml_tf.datasets.sources.feature_file import (
    check_declared,
    load_feature_table,
)
from cmml_tf.datasets.sources.feature_kinds import NO_FEATURE, DeclaredKinds, declared_kinds
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.types import ContentColumn

SIDES: tuple[Side, ...] = ("item", "user")


def add_features(
    data: ScenarioData,
    own: Mapping[Side, FeatureTable],
    source: FeatureSource,
    read: ReadConfig | None = None,
) -> ScenarioData:
    """The data with all features that there are.

    A table that is named takes the place of what the data set itself knows of that side. Its ids
    that no interaction has are items (users) all the same.

    Args:
      data: Scenarios.
      own: What the data set itself knows.
      source: Tables and kinds.
      read: How tables are read.

    Raises:
      FileNotFoundError: A table is missing.
      ValueError: A table or a kind is not accepted; a sentence says why.
    """
    kinds = declared_kinds(source.kinds)
    paths = {"item": source.items, "user": source.users}
    names: dict[Side, Sequence[str]] = {}
    for side in SIDES:
        path = paths[side]
        if path is not None:
            found = load_feature_table(path, side, kinds, read)
            table, names[side] = found.table, found.names
        elif side in own:
            table, names[side] = _chosen(own[side], side, kinds), _names(own[side])
        else:
            continue
        data = with_features(data, side, table)
    if source.kinds is not None:
        check_declared(kinds, names)
    return data


def item_table(source: FeatureSource, read: ReadConfig | None = None) -> FeatureTable | None:
    """The table of items that is named; None: none is.

    Raises:
      FileNotFoundError: The table is missing.
      ValueError: It, or a kind, is not accepted; a sentence says why.
    """
    kinds = declared_kinds(source.kinds)
    found = None
    if source.items is not None:
        found = load_feature_table(source.items, "item", kinds, read)
    if source.kinds is not None:
        check_declared(kinds, {} if found is None else {"item": found.names})
    return None if found is None else found.table


def described(columns: Sequence[ContentColumn]) -> str:
    """The features with their kinds, and of how many rows each is known."""
    return ", ".join(f"{one.name} ({one.kind}, {one.known:,} known)" for one in columns) or "none"


def _chosen(table: FeatureTable, side: Side, kinds: DeclaredKinds) -> FeatureTable:
    """The data set's own features without those that are declared to be none."""
    declared = getattr(kinds, side)
    kept = []
    for column in table.columns:
        kind = declared.get(column.name, NO_FEATURE if kinds.alone else column.kind)
        if kind == column.kind:
            kept.append(column)
        elif kind != NO_FEATURE:
            raise ValueError(
                f"`kinds` must be {column.kind} or {NO_FEATURE} for {column.name!r} of "
                f"{table.name}. Received: {kind}."
            )
    return table._replace(columns=tuple(kept))


def _names(table: FeatureTable) -> list[str]:
    return [column.name for column in table.columns]
