"""One name for every source: what `--data` accepts."""

from dataclasses import replace
from pathlib import Path

from cmml_tf.config import ReadConfig, ScenarioConfig, SplitConfig
from cmml_tf.datasets.download import GROUPLENS_ARCHIVES, download_movielens
from cmml_tf.datasets.interactions import Interactions
from cmml_tf.datasets.movielens import (
    EMBEDDED_NAME,
    is_movielens,
    load_embedded_movielens,
    load_movielens,
)
from cmml_tf.datasets.planted_source import PLANTED_NAME, generate_planted, is_planted
from cmml_tf.datasets.preparation.prepared_folder import is_prepared, load_prepared
from cmml_tf.datasets.scenario_data import ScenarioData
from cmml_tf.datasets.scenario_meta import is_scenario_meta, load_scenario_meta
from cmml_tf.datasets.scenarios import find_scenarios
from cmml_tf.datasets.splits import split_scenarios
from cmml_tf.datasets.table import TABLE_SUFFIXES, load_table
from cmml_tf.datasets.taobao import is_taobao, load_taobao

_ACCEPTED = (
    f"`data` must be {EMBEDDED_NAME}, a GroupLens name ({', '.join(GROUPLENS_ARCHIVES)}), a folder "
    "as GroupLens, Taobao's theme clicks or ScenarioMeta come, a .csv or .parquet table with "
    f"columns user and item, a folder with one such table, or {PLANTED_NAME}[:OPTION=VALUE,...]."
)


def open_scenario_data(
    data: str,
    scenario: ScenarioConfig,
    split: SplitConfig,
    seed: int,
    cache_dir: str | Path | None = None,
    read: ReadConfig | None = None,
) -> ScenarioData:
    """Opens a data set by name or path and makes it ready for meta-learning.

    A prepared folder comes with its own scenarios and split, so `scenario`, `split` and `seed` are
    not used; one in ScenarioMeta's layout with scenarios and a test split, so `scenario` is not. A
    table with a column `scenario` means that one where `scenario.definition` asks for genres or
    tags, which a table does not have.

    Args:
      data: A name, or the path of a folder or table; an existing path comes first.
      scenario: What a scenario is.
      split: How scenarios and users are split.
      seed: Fixes the split.
      cache_dir: Where downloads are kept; none: the user's cache folder.
      read: How large logs are read, and how many malformed lines are left out.

    Raises:
      ValueError: Nothing accepted has this name, or the data is damaged or too small.
      FileNotFoundError: A file of the data set is missing.
      ConnectionError: A download is needed and the network does not answer.
    """
    path = Path(data).expanduser()
    if path.is_dir() and is_prepared(path):
        return load_prepared(path)
    if path.is_dir() and is_scenario_meta(path):
        return load_scenario_meta(path, split, seed)
    if is_planted(data) and not path.exists():
        return generate_planted(data, split, seed).data
    interactions = _read(data, path, cache_dir, ReadConfig() if read is None else read)
    by_column = scenario.definition.startswith("column:")
    if not by_column and not len(interactions.catalogue) and "scenario" in interactions.table:
        scenario = replace(scenario, definition="column:scenario")
    return split_scenarios(find_scenarios(interactions, scenario), split, seed)


def _read(data: str, path: Path, cache_dir: str | Path | None, read: ReadConfig) -> Interactions:
    if path.is_dir():
        if is_movielens(path):
            return load_movielens(path, read)
        if is_taobao(path):
            return load_taobao(path, read)
        tables = sorted(file for file in path.iterdir() if file.suffix in TABLE_SUFFIXES)
        if len(tables) != 1:
            found = ", ".join(table.name for table in tables) or "none"
            raise ValueError(
                f"{_ACCEPTED} Received: the folder {data}, which is none of these (tables in it: "
                f"{found})."
            )
        return load_table(tables[0])
    if path.is_file():
        return load_table(path)
    if data == EMBEDDED_NAME:
        return load_embedded_movielens()
    if data in GROUPLENS_ARCHIVES:
        return load_movielens(download_movielens(data, cache_dir), read)
    raise ValueError(f"{_ACCEPTED} Received: data={data!r}, which is no name or existing path.")
