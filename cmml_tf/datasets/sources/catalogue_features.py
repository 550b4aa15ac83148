"""Features that the files of a data set hold themselves, beside those who took what."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cmml_tf.datasets.feature_table import FeatureTable, Side, content_column
from cmml_tf.datasets.interactions import Interactions
from cmml_tf.datasets.sources.movielens_features import (
    EXTRA_FILE,
    movielens_item_features,
    movielens_user_features,
)

_LAST_YEAR = re.compile(r"\s*\([^()]*\d{4}[^()]*\)\s*$")
_KINDS = {
    "title": "text",
    "year": "numeric",
    "genres": "multi-hot",
    "added": "numeric",
    "tags": "multi-hot",
}
_EXTRA = ("rate", "director", "actor")
_PROFILE = ("gender", "age", "occupation")
_UNKNOWN: dict[str, Any] = {"multi-hot": (), "categorical": ""}


def own_features(interactions: Interactions, folder: Path | None) -> dict[Side, FeatureTable]:
    """What is known of items, and of users, without any other file.

    MovieLens: title, year, genres, added, where there are any also tags, rate, director and actor;
    of users gender, age and occupation. Other catalogues: their columns.

    Args:
      interactions: What was read.
      folder: Of MovieLens; None of anything else.

    Raises:
      ValueError: A line of a file is damaged; the message has its number.
    """
    tables: dict[Side, FeatureTable] = {}
    catalogue = interactions.catalogue
    items = np.array(catalogue["item"].tolist(), np.int64 if len(catalogue) else object)
    columns = [
        content_column(name, _KINDS.get(name, "categorical"), _values(name, catalogue[name]))
        for name in catalogue.columns
        if name != "item"
    ]
    if folder is not None and (folder / EXTRA_FILE).is_file():
        for feature in movielens_item_features(folder, catalogue):
            if feature.name in _EXTRA:
                unknown = _UNKNOWN[feature.kind]
                values = [feature.values.get(item, unknown) for item in items.tolist()]
                columns.append(content_column(feature.name, feature.kind, values))
    if columns:
        tables["item"] = FeatureTable(interactions.name, items, tuple(columns), False)
    profile = [one for one in movielens_user_features(folder) if one.name in _PROFILE]
    if profile:
        users = np.array(list(profile[0].values), np.int64)
        of_user = (content_column(one.name, one.kind, [*one.values.values()]) for one in profile)
        tables["user"] = FeatureTable(interactions.name, users, tuple(of_user), False)
    return tables


def _values(name: str, column: pd.Series) -> list[Any]:
    if name == "title":
        return [_LAST_YEAR.sub("", title) for title in column.fillna("")]
    return column.tolist()
