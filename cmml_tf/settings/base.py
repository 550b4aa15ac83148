"""What a setting of cold-start recommendation says of itself.

A setting is one way to ask a cold-start question: what a task is, what its support and query are,
what is minimised and what counts. All that loops, times, saves, reports and exports is written once
and asks a setting through the methods below; it never asks which setting it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import tensorflow as tf

from cmml_tf.datasets.tasks.earlier import Earlier
from cmml_tf.episodes.asked.evaluation_episodes import Known
from cmml_tf.evaluation.calibration import scored_episodes
from cmml_tf.evaluation.scorer import ModelScorer, Scorer
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.hashed_ids import named_users
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.serving.catalogue.membership import Membership
from cmml_tf.serving.catalogue.narrowing_recall import SampleTasks
from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.systems import Recipe
from cmml_tf.types import AreNew, Support

_SAMPLE_TASKS = 20


class TaskData(Protocol):
    """Tasks with the catalogues of users and items: what reading a source gives."""

    @property
    def user_ids(self) -> np.ndarray:
        """The raw id of each user row."""

    @property
    def item_ids(self) -> np.ndarray:
        """The raw id of each item row."""

    @property
    def counts(self) -> dict[str, int]:
        """What was found and what was left out, for people."""

    def fingerprint(self) -> str:
        """sha256 (hex) over everything that training and evaluation read."""


class AskedTasks(Protocol):
    """Evaluation tasks, drawn once: iterating gives them, each with its own support."""

    def __len__(self) -> int:
        """T tasks."""

    def __iter__(self) -> Iterator[Any]:
        """The tasks, each with its own support."""

    def swapped(self, draw: int) -> "AskedTasks":
        """The same questions, each with the support of another task, drawn at random.

        Args:
          draw: Which draw; the same number gives the same tasks.
        """

    def known(self) -> dict[str, float]:
        """Share of what is asked whose `users`, and whose `items`, are known."""

    def fingerprint(self) -> str:
        """sha256 (hex): which tasks these are."""


class SupportCurve(Protocol):
    """Evaluation tasks by the size of their support."""

    @property
    def same_questions(self) -> bool:
        """Whether the questions are the same at every size."""

    @property
    def draws(self) -> int:
        """How many support sets of each size are drawn."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Sizes by name, smallest first: `0`, `1`, ... and `all`."""

    def tasks(self, size: int, draw: int) -> AskedTasks:
        """The tasks with the first `size` examples of a draw, or all there are."""

    def places(self, size: int, draw: int) -> np.ndarray | None:
        """Where these very tasks are among those that are reported, int [T]; None: they are not."""

    def fingerprint(self) -> str:
        """sha256 (hex): which tasks these are."""


DataT = TypeVar("DataT", bound=TaskData)
"""The data of one setting."""

DataT_co = TypeVar("DataT_co", bound=TaskData, covariant=True)
AskedT_co = TypeVar("AskedT_co", bound=AskedTasks, covariant=True)


@dataclass(frozen=True)
class Prepared(Generic[DataT_co, AskedT_co]):
    """Data, and the evaluation tasks that every system of one seed is asked.

    Attributes:
      data: Its meta-training tasks are learned from.
      validation: What steers training; None: all steps are taken.
      meta_test: What is reported.
      curve: The same by the size of the support; None: there is no curve.
      scale: The lowest and the highest label.
    """

    data: DataT_co
    validation: AskedT_co | None
    meta_test: AskedT_co
    curve: SupportCurve | None = field(default=None, kw_only=True)
    scale: tuple[float, float] = field(default=(0.0, 1.0), kw_only=True)


AskedT = TypeVar("AskedT", bound=AskedTasks)
"""The evaluation tasks of one setting."""

PartsT = TypeVar("PartsT", bound=Prepared[Any, Any])
"""What one setting has prepared."""


class Request(NamedTuple):
    """What a service asks at once: one task, and the pairs to score. Rows as int32.

    Attributes:
      support: `Support` of one task ([1, S], length [1]).
      user, item: int32 [1, Q].
    """

    support: Support
    user: np.ndarray
    item: np.ndarray


class Served(NamedTuple):
    """What an export is made of.

    Attributes:
      model: The model, its tables with a row for every id.
      user_ids, item_ids: The raw id of each row.
      options: Further arguments of `export_model`.
    """

    model: AdaptingModel
    user_ids: np.ndarray
    item_ids: np.ndarray
    options: dict[str, Any]


class Setting(ABC, Generic[DataT, AskedT, PartsT]):
    """One setting; it has no state, and a subclass says how it is spelled and judged in `form`.

    A subclass names its own types: `Setting[ScenarioData, EvaluationEpisodes, ScenarioParts]`.
    """

    form: SettingForm
    tasks_are_users: ClassVar[bool] = False
    continues: ClassVar[bool] = False
    """Whether a run can go on from one of an earlier state of its source."""
    refits: ClassVar[bool] = False
    """Whether the evaluated configuration can be trained on everything."""

    @abstractmethod
    def open(
        self, config: Any, seed: int, earlier: Earlier | None = None, whole: bool = False
    ) -> DataT:
        """Reads the source that a configuration names and splits its tasks.

        Args:
          config: Of the run.
          seed: Fixes the split.
          earlier: A state of the source that a run knew which is continued: its ids keep their
            rows, what was learned from is not held out. Given where the setting `continues`.
          whole: Held-out tasks are among those that are learned from. They can still be asked,
            which tells nothing, and there is nothing to validate with. Given where it `refits`.

        Raises:
          ValueError, FileNotFoundError, ConnectionError: With a sentence that names the fault.
        """

    def open_log(self, config: Any, seed: int, are_new: AreNew | None = None) -> DataT:
        """Reads a source to ask models about it that are trained already.

        As much as can be is asked of it. Here what `open` holds out.

        Args:
          config: As of `open`.
          seed: Fixes what is asked.
          are_new: Which tasks may be asked, by name; None: all. Where it leaves fewer than two, all
            are asked.

        Raises:
          ValueError, FileNotFoundError, ConnectionError: As of `open`.
        """
        del are_new
        return self.open(config, seed)

    def learned_tasks(self, data: DataT) -> Sequence[Any]:
        """Names of the tasks that training on these data learns from.

        `TrainingConfig.steps_per_task` limits nothing where a setting names none.
        """
        del data
        return ()

    def named_tasks(self, names: Iterable[Any], user_id_key: bytes | None = None) -> list[str]:
        """Names of tasks as an export may hold them: of users, keyed hashes where it has a key."""
        if self.tasks_are_users:
            return named_users(names, user_id_key)
        return [str(one) for one in names]

    def state(self, data: DataT) -> Earlier | None:
        """What a later run needs to know of this data; None: it cannot continue from it."""
        del data
        return None

    def learned(self, data: DataT) -> dict[str, int]:
        """How much is learned from: tasks, and the pairs or ratings that training knows."""
        del data
        return {}

    def check(self, data: DataT, config: Any) -> dict[str, int]:
        """What training tasks leave out, for people; refuses data that cannot be sampled.

        Raises:
          ValueError: The tasks are too small.
        """
        del data, config
        return {}

    def describe(self, data: DataT) -> Sequence[str]:
        """Lines about the data beyond its counts, for people."""
        del data
        return ()

    @abstractmethod
    def prepare(self, data: DataT, folder: Path, config: Any, seed: int) -> PartsT:
        """Fits what comes before training and draws the evaluation tasks, or finds both."""

    @abstractmethod
    def build(self, recipe: Recipe, prepared: PartsT) -> AdaptingModel:
        """A model of this recipe with its first weights."""

    def build_for_training(self, recipe: Recipe, prepared: PartsT) -> AdaptingModel:
        """The same model with what training alone needs; its weights fit that of `build`."""
        return self.build(recipe, prepared)

    @abstractmethod
    def sampler(
        self, model: AdaptingModel, prepared: PartsT, episode: Any, seed: int
    ) -> Callable[[tf.Tensor], Any]:
        """A function of a step, an int64 scalar, that gives its training tasks."""

    def scorer(self, model: AdaptingModel) -> ModelScorer:
        """How a model of this setting is asked."""
        return ModelScorer(model)

    @abstractmethod
    def evaluate(self, scorer: Scorer, asked: AskedT) -> TaskMetrics:
        """Asks a system evaluation tasks."""

    def scored_pairs(self, scorer: Scorer, asked: AskedT) -> tuple[np.ndarray, np.ndarray]:
        """Scores of all that is asked, and what was there: float [N] each, for the calibration.

        Here of tasks that are `Episode`s.
        """
        return scored_episodes(scorer, asked)

    def validate(self, scorer: Scorer, asked: AskedT) -> dict[str, float]:
        """Metrics on the validation tasks, `form.watched` among them."""
        return self.evaluate(scorer, asked).means()

    @abstractmethod
    def simple_systems(self, prepared: PartsT, names: Sequence[str]) -> dict[str, Scorer]:
        """What is simple, and has to be beaten.

        Numbers that a system needs are chosen on tasks that are not reported; `settings` of the
        scorer, where it has one, says which.

        Args:
          prepared: Data, and what is known before a task is met.
          names: Some of `form.simple.labels`.
        """

    def protocol(self, data: DataT) -> str:
        """What may be known of a held-out task: `strict` (nothing), `warm` or `time`."""
        del data
        return "strict"

    def told(self, prepared: PartsT, known: Known) -> tuple[PartsT, dict[str, float]]:
        """The evaluation tasks as a model meets them that knows other users and items.

        Args:
          prepared: Of a log.
          known: Which of its rows the model knows.

        Returns:
          The same tasks, which results are told apart by, and the shares of what is asked whose
          `users`, and whose `items`, are known.
        """
        del known
        return prepared, prepared.meta_test.known()

    def counts(self, asked: AskedT) -> dict[str, np.ndarray]:
        """What is known and asked of each task, by what is counted: int [T], in their order."""
        del asked
        return {}

    def requests(self, prepared: PartsT, asked: AskedT, number: int) -> Sequence[Request]:
        """What a service would ask, for measuring what it costs.

        Here the query of the first asked tasks, where these are `Episode`s.
        """
        episode = next(iter(asked))
        made = []
        for task in np.arange(number) % len(episode.query_item):
            one = slice(task, task + 1)
            support = Support(*(field[one] for field in episode.support))
            made.append(Request(support, episode.query_user[one], episode.query_item[one]))
        return made

    def sample_tasks(self, prepared: PartsT) -> SampleTasks | None:
        """Tasks by which an export measures what it keeps of a large catalogue; None: no need.

        They choose how much is kept, so they are validation tasks where there are any.
        """
        validation = prepared.validation
        asked = prepared.meta_test if validation is None else validation
        requests = self.requests(prepared, asked, _SAMPLE_TASKS)
        users = [int(request.user[0, 0]) for request in requests]
        return SampleTasks.of([request.support for request in requests], users)

    def membership(self, model: AdaptingModel, prepared: PartsT) -> Membership | None:
        """What tells items of a task from the rest of the catalogue; None: all are its own."""
        del model, prepared
        return None

    def served(
        self,
        model: AdaptingModel,
        prepared: PartsT,
        further: Mapping[str, Any] | None = None,
    ) -> Served:
        """What is exported of a trained model.

        Args:
          model: Trained.
          prepared: What it was trained with.
          further: Tables of `items` and `users` that came after the training.

        Raises:
          ValueError: This setting's models know no further ones.
        """
        if any(table is not None for table in (further or {}).values()):
            raise ValueError(
                f"`items` and `users` must be left out: a model of the {self.form.name} setting "
                "knows those that it was trained with."
            )
        return Served(model, prepared.data.user_ids, prepared.data.item_ids, {})

    def export_options(self, config: Any) -> dict[str, Any]:
        """Arguments of `export_model` beyond the model, its ids and the manifest."""
        del config
        return {}
