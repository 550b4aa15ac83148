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
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet

from cmml_tf.config import ReadConfig, ScenarioConfig, SplitConfig, override
from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.config.ranking import RankingDataConfig
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.config.split import UserSplitConfig
from cmml_tf.datasets.given_tables import Table, as_arrow, write_folder
from cmml_tf.experiments.comparison import Comparison
from cmml_tf.experiments.comparison_folder import compare as compare_in_folder
from cmml_tf.experiments.forms import FORMS
from cmml_tf.files import whole_folder
from cmml_tf.settings.base import TaskData
from cmml_tf.settings.finished_run import Run
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.run import open_run
from cmml_tf.settings.whole_run import train
from cmml_tf.training.run_folder import load_config, setting_of

_KEPT = "data"


@dataclasses.dataclass(frozen=True)
class Tasks:
    """Data of one setting, read and split: what `fit` learns from and asks.

    Attributes:
      setting: `scenario`, `user` or `ranking`.
      options: What was read and how, by name of a run's configuration.
      data: What reading gave.
      scratch: Folder of the tables that came from memory; it goes with this object. None: all are
        somebody's files.
    """

    setting: str
    options: Mapping[str, Any]
    data: TaskData
    scratch: Path | None

    def __str__(self) -> str:
        lines = [f"{what}: {count:,}" for what, count in self.data.counts.items()]
        lines += SETTINGS[self.setting].describe(self.data)
        return "\n".join(lines)


def scenario_data(
    log: Table,
    *,
    items: Table | None = None,
    users: Table | None = None,
    kinds: Mapping[str, str] | None = None,
    scenario: ScenarioConfig | None = None,
    split: SplitConfig | None = None,
    read: ReadConfig | None = None,
    seed: int = 0,
) -> Tasks:
    """Scenarios of a log: who took what, where.

    Args:
      log: Columns user, item and scenario (null: outside all scenarios), and value where only high
        ones count; or the name or path of a data set, as `--data` takes it.
      items: Column item, all others features (docs/data.md). Items that the log does not have are
        items all the same.
      users: Column user, likewise.
      kinds: Feature name to `categorical`, `multi-hot`, `numeric`, `text`, `vector`, or `none` for
        a column that is no feature; others are guessed.
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
    options: dict[str, Any] = {
        name: dataclasses.asdict(value)
        for name, value in (("scenario", scenario), ("split", split), ("read", read))
        if value
    }
    if kinds:
        options["kinds"] = _kinds(kinds)
    with _scratch() as scratch:
        _placed(options, scratch, {"data": log, "items": items, "users": users})
        return _tasks("scenario", options, scratch, seed)


def user_data(
    ratings: Table,
    *,
    items: Table | None = None,
    users: Table | None = None,
    kinds: Mapping[str, str] | None = None,
    tasks: RatingDataConfig | RankingDataConfig | None = None,
    objective: Literal["rating", "ranking"] = "rating",
    liked: float | None = None,
    split: UserSplitConfig | None = None,
    read: ReadConfig | None = None,
    seed: int = 0,
) -> Tasks:
    """Users and their ratings, or what they have taken.

    Args:
      ratings: Columns user, item and value, which a ranking does not need; or the name or path of a
        data set, with features a path of a table.
      items: Column item and features, or the path of such a table.
      users: Column user and features; of ratings only.
      kinds: Feature name to `categorical`, `multi-hot` (values with | between them) or `numeric`;
        of others, numbers are numeric and the rest categorical. Of a ranking also to `text`,
        `vector`, or `none` for a column that is no feature, and others are guessed.
      tasks: Who is asked, and the rating scale; a `RankingDataConfig` for a ranking.
      objective: `rating`: how a user rates; `ranking`: what a user takes.
      liked: Of a ranking: rows with a lower value are left out.
      split: Of a ranking: what is known when users are asked.
      read: How files are read.
      seed: Fixes the split.

    Raises:
      ValueError: A table lacks a column, there are too few users, or an argument belongs to the
        other objective.

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
    >>> user_data(ratings, objective="ranking").data.counts["users who are asked"]
    12
    """
    options: dict[str, Any] = {
        name: dataclasses.asdict(value)
        for name, value in (("tasks", tasks), ("read", read))
        if value
    }
    if objective == "ranking":
        if users is not None or isinstance(tasks, RatingDataConfig):
            raise ValueError(
                "`users` must be none for a ranking, which reads no features of users, and `tasks` "
                f"a RankingDataConfig. Received: tasks={type(tasks).__name__}."
            )
        options["liked"] = liked
        if split is not None:
            options["split"] = dataclasses.asdict(split)
        if kinds:
            options["kinds"] = _kinds(kinds)
    elif (
        objective != "rating"
        or liked is not None
        or split is not None
        or isinstance(tasks, RankingDataConfig)
    ):
        raise ValueError(
            "`objective` must be rating or ranking; `liked`, `split` and a `RankingDataConfig` are "
            f"for a ranking. Received: objective={objective!r}, liked={liked!r}, "
            f"split={type(split).__name__}, tasks={type(tasks).__name__}."
        )
    with _scratch() as scratch:
        if objective == "ranking":
            _placed(options, scratch, {"data": ratings, "items": items})
            return _tasks("ranking", options, scratch, seed)
        if isinstance(ratings, str | Path) and items is None and users is None:
            options["data"] = str(ratings)
        else:
            write_folder(scratch, ratings, {"item": items, "user": users}, kinds or {}, read)
            options["data"] = str(scratch)
        return _tasks("user", options, scratch, seed)


def fit(
    data: Tasks,
    preset: str | None = None,
    *,
    run_dir: str | Path,
    schedule: str | None = None,
    seed: int = 0,
    max_minutes: float | None = None,
    options: Mapping[str, Any] | None = None,
    continue_from: str | Path | None = None,
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
      continue_from: Folder of a run of an earlier state of the data, or an export of one, to go on
        from (docs/retraining.md).
      progress: Whether epochs are shown.

    Raises:
      ValueError: An option is not accepted, the run cannot be continued, or the folder is of other
        data or another call.

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
        **_kept_options(data, folder),
        "run_dir": str(folder),
        "seed": seed,
        "max_minutes": max_minutes,
        "continue_from": None if continue_from is None else str(continue_from),
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
    options = _kept_options(data, Path(out))
    del options["seed"]
    config = override(
        ComparisonConfig(),
        {
            **options,
            "systems": ",".join(systems),
            "setting": data.setting,
            "out": str(out),
            "seeds": seeds,
            "steps": steps,
        },
    )
    return compare_in_folder(config, Path(out))


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for tables of this process, which is removed if an error leaves the context.

    A sentence of such an error names the table, not the file, which its reader never saw.
    """
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        written = rf"(?:the table )?{re.escape(str(folder))}/(?:\w+/)?(\w+)\.parquet"
        named = re.sub(written, r"the table `\1`", str(error))
        for whole in (str(folder), folder.name):
            named = named.replace(whole, "the given tables")
        if type(error) is ValueError and named != str(error):
            raise ValueError(named) from error
        raise


def _kinds(kinds: Mapping[str, str]) -> str:
    return ",".join(f"{name}={kind}" for name, kind in kinds.items())


def _placed(options: dict[str, Any], scratch: Path, tables: Mapping[str, Table | None]) -> None:
    """Puts tables into options by name: paths as they are, others as files of a folder."""
    for name, table in tables.items():
        if isinstance(table, str | Path):
            options[name] = str(table)
        elif table is not None:
            # The folder is the log, a table of parts; what is in folders of it is none of these.
            place = scratch / ("log.parquet" if name == "data" else f"features/{name}.parquet")
            place.parent.mkdir(exist_ok=True)
            pa.parquet.write_table(as_arrow(table), place)
            options[name] = str(scratch if name == "data" else place)


def _tasks(setting: str, options: dict[str, Any], scratch: Path, seed: int) -> Tasks:
    config = override(SETTINGS[setting].form.options.config(), options)
    data = SETTINGS[setting].open(config, seed)
    is_used = any(scratch.iterdir())
    tasks = Tasks(setting, {**options, "seed": seed}, data, scratch if is_used else None)
    weakref.finalize(tasks, shutil.rmtree, scratch, ignore_errors=True)
    return tasks


def _kept_options(data: Tasks, folder: Path) -> dict[str, Any]:
    """The options; tables of this process are kept in the folder, to be opened again."""
    options = dict(data.options)
    if data.scratch is None:
        return options
    kept = folder / _KEPT
    if not kept.exists():
        with whole_folder(kept) as part:
            shutil.copytree(data.scratch, part, dirs_exist_ok=True)
    elif _differ(filecmp.dircmp(data.scratch, kept)):
        raise ValueError(
            f"The data has changed since the run in {folder} began. Choose another `run_dir`, or "
            "remove that folder."
        )
    for name in ("data", "items", "users"):
        path = Path(options.get(name, ""))
        if path.is_relative_to(data.scratch):
            options[name] = str(kept / path.relative_to(data.scratch))
    return options


def _differ(folders: filecmp.dircmp) -> bool:
    return bool(
        folders.diff_files or folders.left_only or any(map(_differ, folders.subdirs.values()))
    )
