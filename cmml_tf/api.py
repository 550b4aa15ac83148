"""The library as a Python program uses it: data, fit, evaluate, recommend, export.

    log = pd.read_parquet("log.parquet")                    # user, item, scenario
    data = cmml_tf.scenario_data(log)
    run = cmml_tf.fit(data, run_dir="runs/first")           # continues if it was killed
    print(run.evaluate())
    run.recommend(support, user="u1", k=10)                 # support: user, item [, label]
    run.export("export")

The commands are callers of the same parts.
"""

import dataclasses
import filecmp
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import yaml

from cmml_tf.config import ReadConfig, ScenarioConfig, SplitConfig, override
from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.experiments.comparison import Comparison
from cmml_tf.experiments.comparison_folder import compare as compare_in_folder
from cmml_tf.experiments.forms import FORMS
from cmml_tf.settings.base import TaskData
from cmml_tf.settings.finished_run import Run
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.run import open_run, train
from cmml_tf.training.run_folder import load_config, setting_of

Table = Any
"""A pandas DataFrame, anything that Arrow or the DataFrame protocol reads, or a path."""

_KEPT = "data"


@dataclasses.dataclass(frozen=True)
class Tasks:
    """Data of one setting, read and split: what `fit` learns from and asks.

    Attributes:
      setting: `scenario` or `user`.
      source: The file or folder that it was read from.
      options: How, by name of a run's configuration.
      data: What reading gave.
      is_kept: The source is somebody's file; else it goes with this object.
    """

    setting: str
    source: Path
    options: Mapping[str, Any]
    data: TaskData
    is_kept: bool

    def __str__(self) -> str:
        lines = [f"{what}: {count:,}" for what, count in self.data.counts.items()]
        return "\n".join(lines)


def scenario_data(
    log: Table,
    *,
    scenario: ScenarioConfig | None = None,
    split: SplitConfig | None = None,
    read: ReadConfig | None = None,
    seed: int = 0,
) -> Tasks:
    """Scenarios of a log: who took what, where.

    Args:
      log: Columns user, item and scenario (null: outside all scenarios), and value where only high
        ones count; or the name or path of a data set, as `--data` takes it.
      scenario: What a scenario is, and which ones are large enough.
      split: How scenarios and users are split.
      read: How a file is read.
      seed: Fixes the split.

    Raises:
      ValueError: The log lacks a column, or too few scenarios are left; the message says which
        options to change.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> themes = np.repeat(["spring", "travel", "kitchen", "garden"], 200)
    >>> log = pd.DataFrame({"scenario": themes, "user": rng.integers(0, 60, 800)})
    >>> log["item"] = rng.integers(0, 40, 800)
    >>> data = scenario_data(log, scenario=ScenarioConfig(min_interactions=100))
    >>> len(data.data.user_ids), len(data.data.item_ids)
    (60, 40)
    """
    options = {"scenario": scenario, "split": split, "read": read}
    return _tasks("scenario", log, {}, options, seed)


def user_data(
    ratings: Table,
    *,
    items: Table | None = None,
    users: Table | None = None,
    kinds: Mapping[str, str] | None = None,
    tasks: RatingDataConfig | None = None,
    seed: int = 0,
) -> Tasks:
    """Users and their ratings.

    Args:
      ratings: Columns user, item and value; or the name or path of a data set.
      items: Column item and features.
      users: Column user and features.
      kinds: Feature name to `categorical`, `multi-hot` (values with | between them) or `numeric`;
        of others, numbers are numeric and the rest categorical.
      tasks: Who is asked, and the rating scale.
      seed: Fixes the split.

    Raises:
      ValueError: A table lacks a column, or there are too few users.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> ratings = pd.DataFrame({"user": np.repeat(np.arange(60), 20)})
    >>> ratings["item"] = rng.integers(0, 40, 1200)
    >>> ratings["value"] = rng.integers(1, 6, 1200)
    >>> ratings = ratings.drop_duplicates(["user", "item"])
    >>> films = pd.DataFrame({"item": range(40), "genre": ["War", "Drama"] * 20})
    >>> data = user_data(ratings, items=films)
    >>> data.data.counts["items"]
    40
    """
    features = {"items": items, "users": users}
    return _tasks("user", ratings, features, {"tasks": tasks}, seed, kinds)


def fit(
    data: Tasks,
    preset: str | None = None,
    *,
    run_dir: str | Path,
    schedule: str | None = None,
    seed: int = 0,
    max_minutes: float | None = None,
    options: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Run:
    """Trains a model, or finishes a training that was killed.

    Args:
      data: Of `scenario_data` or `user_data`.
      preset: The model; `cmml presets` says when to take which. None: the recommended one.
      run_dir: Folder that keeps everything; one of the same call is continued.
      schedule: None: the preset's own.
      seed: Fixes sampling and initial weights.
      max_minutes: Training stops after this wall-clock time.
      options: Any others by name, nested, such as `{"training": {"max_epochs": 3}}`.
      progress: Whether epochs are shown.

    Raises:
      ValueError: An option is not accepted, or the folder is of other data or another call.

    Example:

    >>> data = scenario_data("planted:users=200,users_per_scenario=30,meta_train=8,meta_test=3")
    >>> options = {"training": {"steps_per_epoch": 2, "max_epochs": 1}}
    >>> folder = tempfile.TemporaryDirectory()
    >>> run = fit(data, run_dir=folder.name, options=options, progress=False)
    >>> support = pd.DataFrame({"user": [1, 2], "item": [7, 9], "label": [1, 0]})
    >>> run.recommend(support, user=3, k=2).columns.tolist()
    ['item', 'score', 'item_known']
    >>> load(folder.name).evaluate().metrics["meta_test"].keys() >= {"recall@10", "ndcg@10"}
    True
    >>> folder.cleanup()
    """
    setting, folder = SETTINGS[data.setting], Path(run_dir)
    base = FORMS[data.setting].options.base(preset, schedule)
    given = {
        **data.options,
        "data": str(_kept_source(data, folder)),
        "run_dir": str(folder),
        "seed": seed,
        "max_minutes": max_minutes,
    }
    config = override(override(base, given), dict(options or {}))
    say: Callable[[str], None] = print if progress else lambda line: None
    run = open_run(setting, config, say)
    train(run, say, verbose=2 if progress else 0)
    return Run(run)


def load(run_dir: str | Path) -> Run:
    """Opens the folder of a trained run, of any setting.

    Raises:
      FileNotFoundError: The folder holds no run.
      ValueError: It is damaged, its data have changed, or nothing has been trained in it.
    """
    folder = Path(run_dir)
    setting = SETTINGS[setting_of(folder)]
    config = load_config(folder, setting.form.options.config)
    config = dataclasses.replace(config, run_dir=str(folder))
    return Run(open_run(setting, config, lambda line: None))


def compare(
    data: Tasks,
    systems: Iterable[str],
    *,
    out: str | Path,
    seeds: int = 5,
    steps: int | None = None,
) -> Comparison:
    """Trains and asks systems on the same evaluation tasks, each in a process of its own.

    Args:
      data: Of `scenario_data` or `user_data`.
      systems: Names; `cmml compare --help` lists them.
      out: Folder of the comparison; what is in it is continued.
      seeds: Seeds 0, 1, ... of split, evaluation tasks and initial weights.
      steps: Training steps of a system at the most; None: its whole schedule.

    Example:

    >>> data = scenario_data("planted:users=200,users_per_scenario=30,meta_train=8,meta_test=3")
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = compare(data, ["item-pop"], out=folder.name, seeds=1)
    [1/1] item-pop, seed 0
    >>> table.rows[0].label, table.rows[0].seeds
    ('ItemPop', 1)
    >>> folder.cleanup()
    """
    options = {name: value for name, value in data.options.items() if name != "seed"}
    config = override(
        ComparisonConfig(),
        {
            **options,
            "systems": ",".join(systems),
            "setting": data.setting,
            "data": str(_kept_source(data, Path(out))),
            "out": str(out),
            "seeds": seeds,
            "steps": steps,
        },
    )
    return compare_in_folder(config, Path(out))


def _tasks(
    setting: str,
    table: Table,
    features: Mapping[str, Table | None],
    given: Mapping[str, Any],
    seed: int,
    kinds: Mapping[str, str] | None = None,
) -> Tasks:
    if isinstance(table, str | Path) and not any(one is not None for one in features.values()):
        source, is_kept = Path(table), True
    else:
        source, is_kept = Path(tempfile.mkdtemp()), False
        _write(setting, source, table, features, kinds or {})
    options = {name: dataclasses.asdict(value) for name, value in given.items() if value}
    config = override(SETTINGS[setting].form.options.config(), {**options, "data": str(source)})
    data = SETTINGS[setting].open(config, seed)
    tasks = Tasks(setting, source, {**options, "seed": seed}, data, is_kept)
    if not is_kept:
        weakref.finalize(tasks, shutil.rmtree, source, ignore_errors=True)
    return tasks


def _write(
    setting: str,
    folder: Path,
    table: Table,
    features: Mapping[str, Table | None],
    kinds: Mapping[str, str],
) -> None:
    """The tables as a folder that the commands read, too."""
    if setting == "scenario":
        pa.parquet.write_table(_arrow(table), folder / "log.parquet")
        return
    pa.parquet.write_table(_arrow(table), folder / "ratings.parquet")
    declared: dict[str, dict[str, str]] = {}
    for name, features_of in features.items():
        if features_of is not None:
            found = _arrow(features_of)
            pa.parquet.write_table(found, folder / f"{name}.parquet")
            keys = {name.removesuffix("s")}
            declared[name] = {
                column.name: kinds.get(column.name, _kind(column.type))
                for column in found.schema
                if column.name not in keys
            }
    (folder / "features.yaml").write_text(yaml.safe_dump(declared))


def _kind(of: pa.DataType) -> str:
    numeric = pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of)
    return "numeric" if numeric else "categorical"


def _arrow(table: Table) -> pa.Table:
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pd.DataFrame):
        return pa.Table.from_pandas(table, preserve_index=False)
    if isinstance(table, str | Path):
        return _arrow(_read(Path(table)))
    if hasattr(table, "__arrow_c_stream__"):
        return pa.table(table)
    if hasattr(table, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        return from_dataframe(table)
    raise TypeError(
        "A table must be a pandas DataFrame, an object with `__arrow_c_stream__` or "
        f"`__dataframe__`, or a path. Received: {type(table).__name__}."
    )


def _read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)


def _kept_source(data: Tasks, folder: Path) -> Path:
    """The source; tables of this process are kept in the folder, so that it can be opened again."""
    if data.is_kept:
        return data.source
    kept = folder / _KEPT
    if not kept.exists():
        shutil.copytree(data.source, kept)
    elif filecmp.dircmp(data.source, kept).diff_files:
        raise ValueError(
            f"The data has changed since the run in {folder} began. Choose another `run_dir`, or "
            "remove that folder."
        )
    return kept
