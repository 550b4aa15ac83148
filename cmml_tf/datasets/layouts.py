"""What stands behind a name or a path of data, told by names of files; no table is read.

Commands ask this before anything else, so nothing here loads a library.
"""

from pathlib import Path

from cmml_tf.datasets.reading.table_names import table_files

EMBEDDED_NAME = "movielens-small"
INSTEVAL_NAME = "insteval"
PLANTED_NAME = "planted"
"""What a name of planted scenarios begins with."""
# sha256 of the archives that do not change, as TensorFlow Datasets records them; for the others
# (None) the .md5 file that GroupLens publishes beside the archive is asked.
GROUPLENS_ARCHIVES: dict[str, str | None] = {
    "ml-100k": "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "ml-1m": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    "ml-20m": "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
    "ml-25m": "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
    "ml-32m": None,
    "ml-latest-small": None,
}

FEATURE_DECLARATION = "features.yaml"
PREPARED_MANIFEST = "manifest.json"
PREPARED_FORMATS = "cmml_tf prepared scenarios, version "
SCENARIO_META_TASKS = ("train_data/train_data", "train_data/test_data")
TAOBAO_CLICKS = "theme_click_log"


def is_planted(data: str) -> bool:
    """Whether `data` asks for planted scenarios."""
    return data.partition(":")[0] == PLANTED_NAME


def is_prepared(folder: str | Path) -> bool:
    """Whether a folder is what preparation writes, told by its manifest."""
    file = Path(folder) / PREPARED_MANIFEST
    return file.is_file() and PREPARED_FORMATS in file.read_text(errors="replace")


def is_scenario_meta(folder: str | Path) -> bool:
    """Whether a folder has ScenarioMeta's layout, complete or with a part missing."""
    return any((Path(folder) / name).is_file() for name in SCENARIO_META_TASKS)


def is_movielens(folder: str | Path) -> bool:
    """Whether a folder has one of GroupLens' layouts, told by the file of ratings."""
    return movielens_ratings(Path(folder)) is not None


def movielens_ratings(folder: Path) -> str | None:
    """The file of ratings of a folder as GroupLens publishes it; None: it is no such folder."""
    for name in ("u.data", "ratings.dat"):
        if (folder / name).is_file():
            return name
    ratings = folder / "ratings.csv"
    if not ratings.is_file():
        return None
    # By the name alone it may be a table of someone's own.
    with ratings.open("rb") as file:
        header = file.readline(100)
    is_published = (folder / "movies.csv").is_file() or header.startswith(b"userId,movieId")
    return ratings.name if is_published else None


def is_taobao(folder: str | Path) -> bool:
    """Whether a folder has the layout of Taobao's theme clicks, told by the click log."""
    return taobao_file(folder, TAOBAO_CLICKS) is not None


def taobao_file(folder: str | Path, name: str) -> Path | None:
    """The file of a folder that has this name with one of the suffixes, if there is one."""
    paths = (Path(folder) / f"{name}{suffix}" for suffix in ("", ".csv", ".txt"))
    return next((path for path in paths if path.is_file()), None)


def is_feature_folder(folder: Path) -> bool:
    """Whether a folder declares features."""
    return (folder / FEATURE_DECLARATION).is_file()


def is_own_table(path: Path) -> bool:
    """Whether a path is a table of one's own, or a folder with the parts of one."""
    if not path.is_dir():
        return path.is_file()
    published = (is_prepared, is_scenario_meta, is_movielens, is_taobao)
    return not any(is_layout(path) for is_layout in published) and bool(table_files(path))
