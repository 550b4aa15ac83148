"""What is fixed about a setting: names, metrics, systems. No TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cmml_tf.evaluation.criteria import Gain, Simple
from cmml_tf.settings.systems import System


class RunOptions(Protocol):
    """How the configuration of a run comes about."""

    @property
    def config(self) -> type[Any]:
        """The class of the configuration.

        A frozen dataclass with the fields `data`, `preset`, `schedule`, `seed`, `run_dir`,
        `export_dir`, `max_minutes`, `strategy`, `quick`, `model`, `episode` and `training`, and
        what the setting needs beside them.
        """

    @property
    def presets(self) -> Mapping[str, Any]:
        """Models by name; `when` of one says when a user takes it, empty: it is not for users."""

    @property
    def common(self) -> Sequence[str]:
        """The dozen options that a user needs."""

    def base(self, preset: str | None, schedule: str | None) -> Any:
        """The configuration of a preset with its schedule, or another; None: the default.

        Raises:
          ValueError: There is no such preset or schedule.
        """

    def check_sources(self, config: Any) -> None:
        """Refuses names and paths of data that nothing stands behind, with the sentence of opening.

        Nothing is read and TensorFlow is not needed, so that a command can ask first of all.

        Raises:
          ValueError, FileNotFoundError: With a sentence that names the fault.
        """

    def quick(self, base: Any) -> dict[str, Any]:
        """What a smoke run changes of it, as nested names and values."""


@dataclass(frozen=True)
class SettingForm:
    """How a setting is spelled and judged.

    Attributes:
      name: As folders and programs call it.
      folder_prefix: What names of its run folders begin with.
      gains: Metrics by which systems are compared; the first one is decisive.
      columns: Metrics of a table.
      watched: Validation metric that steers training, higher is better.
      asked: What evaluation counts, in words: tasks, and rows of `TaskMetrics`.
      request: What a request scores, in words.
      measured_tasks: Tasks of a training step whose cost is measured (figure 2), and in words.
      simple: What a model is compared with beside its own controls. Its names, with dashes for
        underscores, are those of systems, except that of chance, which need not be one.
      systems: What can be compared, by name.
      options: How the configuration of a run comes about.
      shown: How many of the columns, from the first, a run shows.
      command: What trains a model of it, behind `cmml`; None: no command does.
      predicts_labels: Whether a score is meant to be the label itself, such as a rating.
    """

    name: str
    folder_prefix: str
    gains: tuple[Gain, ...]
    columns: tuple[str, ...]
    watched: str
    asked: tuple[str, str]
    request: str
    measured_tasks: tuple[int, str]
    simple: Simple
    systems: Mapping[str, System]
    options: RunOptions
    shown: int = 2
    command: str | None = None
    predicts_labels: bool = False

    @property
    def export_base(self) -> str:
        """The model base path of its exports where none is named: `export`, `export-user`, ..."""
        return f"export-{self.folder_prefix}".rstrip("-")

    @property
    def advice(self) -> dict[str, str]:
        """The models that a user chooses between, and when to take each."""
        return {name: one.when for name, one in self.options.presets.items() if one.when}

    @property
    def decisive(self) -> Gain:
        """The metric by which systems are compared."""
        return self.gains[0]
