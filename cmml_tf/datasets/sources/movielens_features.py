"""What MovieLens knows of movies and users, as features.

With `movies_extrainfos.dat`, the file of additional information of Lee et al. 2019 (MeLU): rate,
genre, director, actor. Without it: genre, and the decade of the year. Users have a profile only in
MovieLens-1M's `users.dat`: gender, age, occupation, zip code.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.datasets.features import RawFeature
from cmml_tf.datasets.reading.columns import Column
from cmml_tf.datasets.reading.read_logs import read_texts
from cmml_tf.datasets.reading.text_file import open_text

EXTRA_FILE = "movies_extrainfos.dat"
_EXTRA_FIELDS = (
    *("movie", "title", "year", "rate", "released", "genre", "director", "writer", "actor"),
    *("plot", "poster"),
)
_EXTRA = ("rate", "genre", "director", "actor")
_PROFILE = ("gender", "age", "occupation", "zip")


def movielens_item_features(folder: Path | None, catalogue: pd.DataFrame) -> list[RawFeature]:
    """The features of movies, the id first.

    Args:
      folder: Where `movies_extrainfos.dat` may be; None: nowhere.
      catalogue: Columns `item`, `genres`, `year`, as `Interactions` has them.

    Raises:
      ValueError: A line of the file is damaged; the message has its number.
    """
    items = catalogue["item"].tolist()
    features = [RawFeature("id", "id", {item: str(item) for item in items})]
    if folder is not None and (folder / EXTRA_FILE).is_file():
        columns = _numbered(folder / EXTRA_FILE, _EXTRA_FIELDS)
        for name in _EXTRA:
            kind = "categorical" if name == "rate" else "multi-hot"
            values = (_value(kind, text) for text in columns[name])
            features.append(
                RawFeature(name, kind, dict(zip(columns["movie"], values, strict=True)))
            )
        return features
    if "genres" in catalogue:
        genres = dict(zip(items, catalogue["genres"], strict=True))
        features.append(RawFeature("genre", "multi-hot", genres))
    if "year" in catalogue:
        decades = {
            item: f"{int(year) // 10 * 10}s"
            for item, year in zip(items, catalogue["year"], strict=True)
            if np.isfinite(year)
        }
        features.append(RawFeature("decade", "categorical", decades))
    return features


def movielens_user_features(folder: Path | None) -> list[RawFeature]:
    """The profile of users where `users.dat` is, else nothing.

    Raises:
      ValueError: A line of the file is damaged; the message has its number.
    """
    if folder is None or not (folder / "users.dat").is_file():
        return []
    columns = _numbered(folder / "users.dat", ("user", *_PROFILE))
    return [
        RawFeature(name, "categorical", dict(zip(columns["user"], columns[name], strict=True)))
        for name in _PROFILE
    ]


def _value(kind: str, text: str) -> str | tuple[str, ...]:
    if kind == "categorical":
        return text.strip()
    # "N/A" is a value of its own, as in MeLU: that nothing is known says something.
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbered(path: Path, names: Sequence[str]) -> dict[str, list]:
    """The columns of a file of so many fields, the first of which is a number."""
    number, *others = names
    columns = (
        Column(number, "int"),
        *(Column(name, "str", may_be_empty=True) for name in others),
    )
    log = open_text(path, ("::",), columns, False, quotes=False, latin_1=True, exact=True)
    return read_texts(log)
