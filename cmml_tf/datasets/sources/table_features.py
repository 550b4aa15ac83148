"""A folder of one's own: ratings, users and items as tables, features declared in a YAML file.

features.yaml                       ratings.csv       user,item,value
    items:                          items.csv         item,genre,price
      genre: multi-hot              users.csv         user,country
      price: numeric
    users:
      country: categorical

Each table may be of any form that is read: items.parquet, items.csv.gz, a folder items of parts.
"""

import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.features import RawFeature, check_names, finite_numbers
from cmml_tf.datasets.interactions import Interactions, without_catalogue
from cmml_tf.datasets.layouts import FEATURE_DECLARATION
from cmml_tf.datasets.reading.columns import Column
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.reading.own_table import (
    ITEM,
    USER,
    VALUE,
    OwnTable,
    as_features_are_read,
    find_table,
    open_table,
)
from cmml_tf.datasets.reading.read_logs import Columns, as_series, read_groups, read_logs
from cmml_tf.datasets.sources.own_interactions import left_out, table_frame
from cmml_tf.plain_yaml import load_plain_yaml

_KINDS = ("categorical", "multi-hot", "numeric")
_SEPARATOR = "|"
_IDS = {"item": ITEM, "user": USER}
_RATED = (USER, ITEM, VALUE._replace(needed=True))


def load_feature_folder(
    folder: Path, read: ReadConfig | None = None
) -> tuple[Interactions, list[RawFeature], list[RawFeature]]:
    """Reads the tables ratings, items and users; multi-hot values stand with | between them.

    Args:
      folder: What has the declaration.
      read: Block size, names of columns, and how many malformed lines of each table are left out.

    Returns:
      Ratings, item features (the id first) and user features.

    Raises:
      FileNotFoundError: A table is missing that a declared feature needs.
      ValueError: The declaration or a table is damaged; the message says where.
    """
    read = ReadConfig() if read is None else read
    declared = load_plain_yaml(folder / FEATURE_DECLARATION)
    if not isinstance(declared, dict) or not declared.keys() <= {"items", "users"}:
        raise ValueError(
            f"{folder / FEATURE_DECLARATION} must have the groups items and users, each with "
            f"feature names and their kinds ({', '.join(_KINDS)})."
        )
    ratings = _table(folder, "ratings", _RATED, read)
    features = {side: declared.get(f"{side}s") for side in _IDS}
    features = {side: {} if of_side is None else of_side for side, of_side in features.items()}
    tables = {side: _feature_table(folder, side, features[side], read) for side in _IDS}
    given = [ratings, *(table for table in tables.values() if table is not None)]
    malformed = [MalformedLines(read) for _ in given]
    # All together: an id is of one kind in all tables.
    of_ratings, *others = read_groups([table.logs for table in given], read, malformed)
    interactions = Interactions(
        folder.resolve().name,
        table_frame(of_ratings),
        without_catalogue(),
        counts=left_out(ratings, malformed[0]),
    )
    raw: dict[str, list[RawFeature]] = {side: [] for side in _IDS}
    waiting = iter(zip(given[1:], others, malformed[1:], strict=True))
    for side, table in tables.items():
        if table is not None:
            _, columns, count = next(waiting)
            raw[side] = _features(table, side, features[side], columns)
            if count.count:
                interactions.counts[f"malformed lines of {side}s, left out"] = count.count
    identity = _id_feature(interactions, raw["item"])
    return interactions, [identity, *raw["item"]], raw["user"]


def load_rating_table(
    path: Path, read: ReadConfig
) -> tuple[Interactions, list[RawFeature], list[RawFeature]]:
    """Reads a table of ratings alone: the only feature is the item's id.

    Raises:
      ValueError: It is damaged or lacks a column; the message says where.
    """
    table, malformed = open_table(path, _RATED, read), MalformedLines(read)
    frame = table_frame(read_logs(table.logs, read, malformed))
    counts = left_out(table, malformed)
    interactions = Interactions(table.name, frame, without_catalogue(), counts=counts)
    return interactions, [_id_feature(interactions)], []


def _id_feature(interactions: Interactions, others: Iterable[RawFeature] = ()) -> RawFeature:
    known = {one for feature in others for one in feature.values}
    known |= set(interactions.table["item"].unique().tolist())
    return RawFeature("id", "id", {one: str(one) for one in known})


def _table(folder: Path, name: str, columns: Sequence[Column], read: ReadConfig) -> OwnTable:
    path = find_table(folder, name)
    if path is None:
        raise FileNotFoundError(f"The table {folder / name} is missing (.csv, .parquet, ...).")
    # A link stands for somebody's own file, which messages name.
    return open_table(path.resolve() if path.is_symlink() else path, columns, read)


def _feature_table(folder: Path, side: str, declared: object, read: ReadConfig) -> OwnTable | None:
    """The table of the features of a side, where some are declared."""
    if not isinstance(declared, dict):
        raise ValueError(
            f"`{side}s` of {folder / FEATURE_DECLARATION} must name features and their kinds."
        )
    check_names(side, [(name, "declared") for name in declared])
    if side in declared:
        raise ValueError(
            f"A feature of {side}s must not be named {side!r}, which names the column of their ids "
            f"in {folder / FEATURE_DECLARATION}. Give the column another name."
        )
    for name, kind in declared.items():
        if kind not in _KINDS:
            raise ValueError(
                f"The kind of {reprlib.repr(name)} in {folder / FEATURE_DECLARATION} must be one "
                f"of {', '.join(_KINDS)}. Received: {reprlib.repr(kind)}."
            )
    if not declared:
        return None
    said = folder / FEATURE_DECLARATION
    columns = [Column(str(name), "str", may_be_empty=True, named_in=said) for name in declared]
    path = find_table(folder, f"{side}s")
    if path is not None:
        read = as_features_are_read(read, side, path)
    return _table(folder, f"{side}s", (_IDS[side], *columns), read)


def _features(
    table: OwnTable, side: str, declared: dict, parts: Sequence[Columns]
) -> list[RawFeature]:
    path = table.logs[0].path
    keys = pd.concat([as_series(part[side]) for part in parts], ignore_index=True)
    if keys.duplicated().any():
        raise ValueError(
            f"{path} must have each {side} once. "
            f"Received: several lines of {str(keys[keys.duplicated()].iloc[0])!r}."
        )
    features = []
    for name, kind in declared.items():
        texts = pd.Series(
            [text for part in parts for text in pc.fill_null(part[str(name)], "").to_pylist()],
            dtype=object,
        )
        values = texts.tolist()
        if kind == "multi-hot":
            values = [tuple(filter(None, value.split(_SEPARATOR))) for value in values]
        if kind == "numeric":
            values = finite_numbers(path, name, keys.tolist(), values)
        features.append(RawFeature(name, kind, dict(zip(keys.tolist(), values, strict=True))))
    return features
