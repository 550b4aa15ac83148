"""A folder of one's own: ratings, users and items as tables, features declared in a YAML file.

features.yaml                       ratings.csv       user,item,value
    items:                          items.csv         item,genre,price
      genre: multi-hot              users.csv         user,country
      price: numeric
    users:
      country: categorical
"""

from pathlib import Path

import pandas as pd

from cmml_tf.datasets.features import RawFeature, check_names, finite_numbers
from cmml_tf.datasets.interactions import Interactions, without_catalogue
from cmml_tf.datasets.table import load_table
from cmml_tf.plain_yaml import load_plain_yaml

DECLARATION = "features.yaml"
_KINDS = ("categorical", "multi-hot", "numeric")
_SEPARATOR = "|"


def is_feature_folder(folder: Path) -> bool:
    """Whether a folder declares features."""
    return (folder / DECLARATION).is_file()


def load_feature_folder(folder: Path) -> tuple[Interactions, list[RawFeature], list[RawFeature]]:
    """Reads ratings.csv, items.csv and users.csv; multi-hot values stand with | between them.

    Returns:
      Ratings, item features (the id first) and user features.

    Raises:
      FileNotFoundError: A table is missing that a declared feature needs.
      ValueError: The declaration or a table is damaged; the message says where.
    """
    declared = load_plain_yaml(folder / DECLARATION)
    if not isinstance(declared, dict) or not declared.keys() <= {"items", "users"}:
        raise ValueError(
            f"{folder / DECLARATION} must have the groups items and users, each with feature names "
            f"and their kinds ({', '.join(_KINDS)})."
        )
    interactions = load_table(folder / "ratings.csv")
    with (folder / "ratings.csv").open(encoding="utf-8", errors="replace") as file:
        header = file.readline().strip()
    if "value" not in header.split(","):
        raise ValueError(
            f"{folder / 'ratings.csv'} must have a column 'value' with the ratings. "
            f"Received: {header[:80]}."
        )
    interactions = Interactions(folder.resolve().name, interactions.table, without_catalogue())
    ids = interactions.table["item"].unique().tolist()
    kinds = {side: interactions.table[side].dtype.kind for side in ("user", "item")}
    items = _features(folder, "item", declared.get("items"), kinds["item"])
    known = {one for feature in items for one in feature.values} | set(ids)
    items.insert(0, RawFeature("id", "id", {one: str(one) for one in known}))
    users = _features(folder, "user", declared.get("users"), kinds["user"])
    return interactions, items, users


def _features(folder: Path, side: str, declared: object, id_kind: str) -> list[RawFeature]:
    if declared is None:
        return []
    path = folder / f"{side}s.csv"
    if not isinstance(declared, dict):
        raise ValueError(f"`{side}s` of {folder / DECLARATION} must name features and their kinds.")
    check_names(side, [(name, "declared") for name in declared])
    if not path.is_file():
        raise FileNotFoundError(f"The file {path} is missing, whose columns {DECLARATION} names.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path} must be a table in UTF-8, commas between ({error}).") from error
    for column in (side, *declared):
        if column not in table:
            raise ValueError(
                f"{path} must have a column {column!r}. Received: {', '.join(table.columns)}."
            )
    keys = _ids(path, side, table[side], id_kind)
    features = []
    for name, kind in declared.items():
        if kind not in _KINDS:
            raise ValueError(
                f"The kind of {name!r} in {folder / DECLARATION} must be one of "
                f"{', '.join(_KINDS)}. Received: {kind!r}."
            )
        values = table[name].tolist()
        if kind == "multi-hot":
            values = [tuple(filter(None, value.split(_SEPARATOR))) for value in values]
        if kind == "numeric":
            values = finite_numbers(path, name, keys, values)
        features.append(RawFeature(name, kind, dict(zip(keys, values, strict=True))))
    return features


def _ids(path: Path, side: str, column: pd.Series, kind: str) -> list[int] | list[str]:
    """Ids of the type that ratings.csv has them in; each once."""
    if column.duplicated().any():
        raise ValueError(
            f"{path} must have each {side} once. "
            f"Received: several lines of {column[column.duplicated()].iloc[0]!r}."
        )
    if kind not in "iu":
        return column.tolist()
    wrong = ~column.str.fullmatch(r"-?\d+")
    if wrong.any():
        raise ValueError(
            f"Column {side!r} of {path} must hold integers, as that of ratings.csv does. "
            f"Received: {column[wrong].iloc[0]!r}."
        )
    return column.astype("int64").tolist()
