"""One name for every source: what `--data` accepts."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from cmml_tf.config import ReadConfig, ScenarioConfig, SplitConfig
from cmml_tf.datasets.check_source import FeatureSource, check_scenario_source
from cmml_tf.datasets.feature_table import FeatureTable, Side
from cmml_tf.datasets.interactions import Interactions
from cmml_tf.datasets.layouts import (
    EMBEDDED_NAME,
    INSTEVAL_NAME,
    is_movielens,
    is_planted,
    is_prepared,
    is_scenario_meta,
    is_taobao,
)
from cmml_tf.datasets.open_features import add_features
from cmml_tf.datasets.preparation.prepared_folder import load_prepared
from cmml_tf.datasets.reading.times import Times
from cmml_tf.datasets.sources.catalogue_features import own_features
from cmml_tf.datasets.sources.download import download_movielens
from cmml_tf.datasets.sources.insteval import load_insteval
from cmml_tf.datasets.sources.movielens import load_embedded_movielens, load_movielens
from cmml_tf.datasets.sources.own_interactions import load_table
from cmml_tf.datasets.sources.scenario_meta import load_scenario_meta
from cmml_tf.datasets.sources.taobao import load_taobao
from cmml_tf.datasets.synthetic.planted_source import generate_planted
from cmml_tf.datasets.tasks.earlier import Earlier
from cmml_tf.datasets.tasks.nothing_held_out import divided_learned_whole
from cmml_tf.datasets.tasks.protocols import times_of
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.datasets.tasks.scenarios import ScenarioPairs, find_scenarios
from cmml_tf.datasets.tasks.splits import split_scenarios
from cmml_tf.datasets.tasks.unseen_log import hold_out_all
from cmml_tf.types import AreNew


def open_scenario_data(
    data: str,
    scenario: ScenarioConfig,
    split: SplitConfig,
    seed: int,
    read: ReadConfig | None = None,
    features: FeatureSource | None = None,
    whole: bool = False,
    earlier: Earlier | None = None,
) -> ScenarioData:
    """Opens a data set by name or path and makes it ready for meta-learning.

    A prepared folder comes with its own scenarios and split, so `scenario`, `split` and `seed` are
    not used; one in ScenarioMeta's layout with scenarios and a test split, so `scenario` is not.
    Their protocol is their own: another one that is asked for is refused. A table with a column
    `scenario`, or InstEval, means that one where `scenario.definition` asks for genres or tags,
    which it does not have.

    Args:
      data: A name, or the path of a folder or table; an existing path comes first.
      scenario: What a scenario is.
      split: How scenarios and users are split.
      seed: Fixes the split.
      read: How logs are read, what a table calls its columns, and how many malformed lines are left
        out.
      features: Tables of features of items and users; None: what the data set itself knows.
      whole: Held-out scenarios are learned from as well (`nothing_held_out`).
      earlier: A state of the same log that a run knew which is continued: its ids keep their rows,
        what it learned from is not held out.

    Raises:
      ValueError: Nothing accepted has this name, the data is damaged or too small, or it cannot be
        split by the protocol.
      FileNotFoundError: A file of the data set is missing.
      ConnectionError: A download is needed and the network does not answer.
    """
    path = Path(data).expanduser()
    read, features = read or ReadConfig(), features or FeatureSource()
    check_scenario_source(data, read, features)
    divide = partial(split_scenarios, split=split, seed=seed, whole=whole, earlier=earlier)
    opened, own = _open(data, path, scenario, split, seed, read, divide, whole, earlier)
    return add_features(opened, own, features, read)


def open_scenario_log(
    data: str,
    scenario: ScenarioConfig,
    split: SplitConfig,
    seed: int,
    read: ReadConfig | None = None,
    are_new: AreNew | None = None,
) -> ScenarioData:
    """Opens a data set to ask a trained model about it: every scenario is held out.

    One that comes divided has its own meta-test scenarios. Features of users and items are not
    read.

    Args:
      data: As of `open_scenario_data`.
      scenario: What a scenario is.
      split: Protocol, share of users who are asked, and cap of the support pairs.
      seed: Fixes which users are asked.
      read: How logs are read.
      are_new: Which scenarios, by name, are asked; see `hold_out_all`.

    Raises:
      ValueError, FileNotFoundError, ConnectionError: As `open_scenario_data`.
    """
    path, read = Path(data).expanduser(), read or ReadConfig()
    check_scenario_source(data, read, FeatureSource())
    divide = partial(hold_out_all, split=split, seed=seed, are_new=are_new)
    return _open(data, path, scenario, split, seed, read, divide)[0]


def _open(
    data: str,
    path: Path,
    scenario: ScenarioConfig,
    split: SplitConfig,
    seed: int,
    read: ReadConfig,
    divide: Callable[[ScenarioPairs], ScenarioData],
    whole: bool = False,
    earlier: Earlier | None = None,
) -> tuple[ScenarioData, dict[Side, FeatureTable]]:
    """Scenarios, and what the data set itself knows of items and users."""
    divided = None
    if path.is_dir() and is_prepared(path):
        divided = load_prepared(path)
    elif path.is_dir() and is_scenario_meta(path):
        divided = load_scenario_meta(path, split, seed)
    elif is_planted(data) and not path.exists():
        divided = generate_planted(data, split, seed).data
    if divided is not None:
        _check_log(data, earlier)
        _check_protocol(divided, split, data)
        return divided_learned_whole(divided, split, seed) if whole else divided, {}
    times = times_of(split)
    interactions, folder = _read(data, path, read, scenario.definition, times)
    if interactions.item_embeddings is not None:
        _check_log(data, earlier)
    by_column = scenario.definition.startswith("column:")
    has_own = "scenario" in interactions.table and "genres" not in interactions.catalogue
    if not by_column and has_own:
        scenario = replace(scenario, definition="column:scenario")
    found = divide(find_scenarios(interactions, scenario, earlier))
    return found, own_features(interactions, folder)


def _check_log(data: str, earlier: Earlier | None) -> None:
    if earlier is not None:
        raise ValueError(
            f"`continue_from` must be none: {data} has been divided, or brings its own embeddings, "
            "so its rows are settled. Give a log."
        )


def _check_protocol(divided: ScenarioData, split: SplitConfig, data: str) -> None:
    if split.protocol not in ("auto", divided.protocol) or split.time is not None:
        raise ValueError(
            f"`protocol` must be {divided.protocol} or auto, and `time` none: {data} has been "
            f"divided so. Received: protocol={split.protocol!r}, time={split.time!r}. Raw data can "
            "be divided in other ways."
        )


def _read(
    data: str,
    path: Path,
    read: ReadConfig,
    definition: str,
    times: Times,
) -> tuple[Interactions, Path | None]:
    """Interactions, and the folder where they are MovieLens'."""
    if path.is_dir():
        if is_movielens(path):
            return load_movielens(path, read, times), path
        if is_taobao(path):
            return load_taobao(path, read, times), None
    if path.exists():
        return load_table(path, definition, read, times), None
    if data == EMBEDDED_NAME:
        return load_embedded_movielens(), None
    if data == INSTEVAL_NAME:
        return load_insteval(), None
    folder = download_movielens(data)
    return load_movielens(folder, read, times), folder
