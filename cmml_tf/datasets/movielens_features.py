"""What MovieLens knows of movies and users, as features.

With `movies_extrainfos.dat`, the file of additional information of Lee et al. 2019 (MeLU): rate,
genre, director, actor. Without it: genre, and the decade of the year. Users have a profile only in
MovieLens-1M's `users.dat`: gender, age, occupation, zip code.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.datasets.delimited import read_records
from cmml_tf.datasets.features import RawFeature

EXTRA_FILE = "movies_extrainfos.dat"
# movie, title, year, rate, released, genre, director, writer, actors, plot, poster
_EXTRA_FIELDS = 11
_EXTRA = (("rate", 3), ("genre", 5), ("director", 6), ("actor", 8))
_USER_FIELDS = 5
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
        path = folder / EXTRA_FILE
        records = [fields for _, fields in _numbered(path, _EXTRA_FIELDS)]
        for name, place in _EXTRA:
            kind = "categorical" if name == "rate" else "multi-hot"
            values = {int(fields[0]): _value(kind, fields[place]) for fields in records}
            features.append(RawFeature(name, kind, values))
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
    records = [fields for _, fields in _numbered(folder / "users.dat", _USER_FIELDS)]
    return [
        RawFeature(name, "categorical", {int(fields[0]): fields[place] for fields in records})
        for place, name in enumerate(_PROFILE, start=1)
    ]


def _value(kind: str, text: str) -> str | tuple[str, ...]:
    if kind == "categorical":
        return text.strip()
    # "N/A" is a value of its own, as in MeLU: that nothing is known says something.
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbered(path: Path, number: int) -> list[tuple[int, list[str]]]:
    records = read_records(path, "::", number, exact=True)
    for line, fields in records:
        if not fields[0].isdecimal():
            raise ValueError(
                f"Line {line} of {path} must begin with a number. Received: {fields[0]!r}. The "
                "file is damaged; get it again."
            )
    return records
