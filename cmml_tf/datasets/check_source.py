"""Names and paths of data that nothing stands behind are refused before anything is read.

Commands ask this before anything else, so nothing here loads a library.
"""

from dataclasses import dataclass
from pathlib import Path

from cmml_tf.config import ReadConfig
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.datasets.layouts import (
    EMBEDDED_NAME,
    GROUPLENS_ARCHIVES,
    INSTEVAL_NAME,
    PLANTED_NAME,
    is_feature_folder,
    is_movielens,
    is_own_table,
    is_planted,
    is_prepared,
    is_scenario_meta,
    is_taobao,
)
from cmml_tf.datasets.reading.table_names import check_table, table_files
from cmml_tf.datasets.sources.feature_kinds import declared_kinds

_NAMES = (EMBEDDED_NAME, INSTEVAL_NAME, *GROUPLENS_ARCHIVES)
_ACCEPTED = (
    f"`data` must be {EMBEDDED_NAME}, {INSTEVAL_NAME}, a GroupLens name "
    f"({', '.join(GROUPLENS_ARCHIVES)}), a folder "
    "as GroupLens, Taobao's theme clicks or ScenarioMeta come, a table (.csv, .tsv or .parquet) "
    "with columns user and item, a folder with the parts of one, or "
    f"{PLANTED_NAME}[:OPTION=VALUE,...]."
)


@dataclass(frozen=True)
class FeatureSource:
    """Where features are read from.

    Attributes:
      items, users: Tables, as files; None: what the data set itself knows.
      kinds: See `declared_kinds`.
    """

    items: str | None = None
    users: str | None = None
    kinds: str | None = None


def check_features(source: FeatureSource) -> None:
    """Refuses tables that are missing and kinds that are none; no table is read.

    Raises:
      FileNotFoundError: A table is missing.
      ValueError: A kind is not accepted.
    """
    declared_kinds(source.kinds)
    for path in (source.items, source.users):
        if path is not None:
            check_table(Path(path).expanduser())


def check_scenario_source(data: str, read: ReadConfig, features: FeatureSource) -> None:
    """Refuses names and paths that nothing stands behind; no file of the data is read.

    Args:
      data, read, features: As of `open_scenario_data`.

    Raises:
      ValueError: Nothing accepted has this name, or a kind of a feature is not accepted.
      FileNotFoundError: A table of features is missing.
    """
    path = Path(data).expanduser()
    refuse_columns(read, is_own_table(path), data)
    if path.is_dir():
        layouts = (is_prepared, is_scenario_meta, is_movielens, is_taobao, table_files)
        if not any(is_layout(path) for is_layout in layouts):
            raise ValueError(
                f"{_ACCEPTED} Received: the folder {data}, which is none of these (tables in it: "
                "none)."
            )
    elif not path.exists() and not is_planted(data) and data not in _NAMES:
        raise ValueError(f"{_ACCEPTED} Received: data={data!r}, which is no name or existing path.")
    check_features(features)


def check_rating_source(data: str, read: ReadConfig, tasks: RatingDataConfig | None = None) -> None:
    """Refuses names and paths that no ratings stand behind; no file of the data is read.

    Args:
      data, read: As of `open_rating_data`.
      tasks: Files of given tasks and users; None: there are none.

    Raises:
      ValueError: Nothing accepted has this name.
      FileNotFoundError: The file of tasks, or of users, is missing.
    """
    if tasks is not None:
        _require(tasks.tasks, "task file")
        _require(tasks.meta_test_users, "file of meta-test users")
    path = Path(data).expanduser()
    own = is_own_table(path) or (path.is_dir() and is_feature_folder(path))
    refuse_columns(read, own, data)
    is_name = data == EMBEDDED_NAME or data in GROUPLENS_ARCHIVES
    if not (own or (path.is_dir() and is_movielens(path)) or (is_name and not path.exists())):
        raise ValueError(
            f"`data` must be {EMBEDDED_NAME}, a GroupLens name ({', '.join(GROUPLENS_ARCHIVES)}), "
            "a folder as GroupLens publishes it, a folder with features.yaml, or a table (.csv, "
            ".tsv or .parquet) with columns user, item and value, or a folder with the parts of "
            f"one. Received: data={data!r}."
        )


def check_ranking_source(
    data: str, tasks: str | None, read: ReadConfig, features: FeatureSource
) -> None:
    """Refuses names and paths that nothing stands behind; no file of the data is read.

    Args:
      data, read, features: As of `open_ranking_data`.
      tasks: A file of given tasks; None: none is.

    Raises:
      ValueError: Nothing accepted has this name, or a kind of a feature is not accepted.
      FileNotFoundError: The file of tasks, or of items, is missing.
    """
    check_features(features)
    check_rating_source(data, read)
    _require(tasks, "task file")


def refuse_columns(read: ReadConfig, own: bool, data: str) -> None:
    """Refuses names of columns for data that is no table of one's own.

    Raises:
      ValueError: There are some.
    """
    if read.columns is not None and not own:
        raise ValueError(
            "`columns` must be none unless `data` is a table of your own. "
            f"Received: columns={read.columns!r}, data={data!r}."
        )


def _require(file: str | None, called: str) -> None:
    if file is not None and not Path(file).is_file():
        raise FileNotFoundError(f"There is no {called} {file}.")
