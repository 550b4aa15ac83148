"""One run of any setting: its data, folder, trainings, report and export."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import tensorflow as tf

from cmml_tf.compiled_size import CompiledSize
from cmml_tf.config import TrainingConfig
from cmml_tf.config.judging import required_controls
from cmml_tf.datasets.tasks.earlier import Earlier
from cmml_tf.evaluation.report import Report
from cmml_tf.files import write_whole
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.serving.exported import Exported, export_once
from cmml_tf.settings.base import AskedTasks, Prepared, Setting, TaskData
from cmml_tf.settings.continued import (
    check_features,
    earlier_state,
    keep_state,
    keep_steps,
    start_from_kept,
    steps_behind,
    write_state,
)
from cmml_tf.settings.export_place import export_place
from cmml_tf.settings.judging import report_on
from cmml_tf.settings.requirement import check_required
from cmml_tf.settings.systems import Recipe, for_tasks, within_steps
from cmml_tf.settings.training import fit
from cmml_tf.training.checkpoint import restore_best_weights
from cmml_tf.training.event_files import write_curves
from cmml_tf.training.fit import CompiledModel
from cmml_tf.training.run_folder import (
    FREE_TO_CHANGE,
    TWIN,
    RunFolder,
    environment,
    plain,
    settled_options,
)

_CONTINUED_STEPS, _CONTINUED_RATE = 1 / 40, 1 / 10

Say = Callable[[str], None]


class Trained(NamedTuple):
    """What a training gives.

    Attributes:
      run: That it is of.
      name: Of its folder.
      epochs: How many it took.
      compiled: What was trained, which another training of the run may use.
    """

    run: "SettingRun"
    name: str
    epochs: int
    compiled: CompiledModel

    @property
    def model(self) -> AdaptingModel:
        """The model with the weights of its best epoch, made anew.

        What is evaluated and exported has ordinary variables, and nothing of training alone. To
        make it sets the global seed, behind which TensorFlow rewrites every graph again: so where
        another training uses this one's, ask for it behind that.
        """
        return self.run.trained(self.name)


@dataclass(frozen=True)
class SettingRun:
    """A run whose data is read and whose evaluation tasks are drawn.

    Attributes:
      setting: What a task is.
      config: Of the run.
      folder: Holds everything that the run writes.
      prepared: Data and evaluation tasks.
    """

    setting: Setting
    config: Any
    folder: RunFolder
    prepared: Prepared[TaskData, AskedTasks]

    @property
    def schedule(self) -> TrainingConfig:
        """As configured, and no more steps than as many tasks are worth."""
        return for_tasks(self.config.training, len(self.setting.learned_tasks(self.prepared.data)))

    @property
    def training(self) -> TrainingConfig:
        """The schedule; where a run is continued, a fortieth of the steps.

        They are taken at a tenth of the learning rate: weights that were trained to the end are
        to be mended, not found.
        """
        own = self.schedule
        if self.config.continue_from is None:
            return own
        slower = replace(own, learning_rate=own.learning_rate * _CONTINUED_RATE)
        return within_steps(slower, max(1, round(_steps(own) * _CONTINUED_STEPS)))

    @property
    def recipe(self) -> Recipe:
        """How the model is made and trained."""
        return Recipe(self.config.model, self.config.episode, self.training, self.config.seed)

    def build(self) -> AdaptingModel:
        """The model with its first weights, fixed by the seed."""
        return self.setting.build(self.recipe, self.prepared)

    def trained(self, name: str) -> AdaptingModel:
        """The model with the weights that the training `name` has left in the folder.

        Raises:
          ValueError: No epoch of it has been completed.
        """
        built = self.build()
        restore_best_weights(built, self.folder.path / name / "checkpoints")
        return built

    def trained_twin(self, model: AdaptingModel) -> AdaptingModel:
        """The twin of the trained model; a model that reads no support is its own."""
        return self.trained(TWIN) if model.reads_support else model

    def train(
        self,
        name: str,
        strategy: tf.distribute.Strategy,
        max_minutes: float | None,
        verbose: int,
        say: Say,
        max_epochs: int | None = None,
        learning_rates: Sequence[float] | None = None,
        compiled: CompiledModel | None = None,
    ) -> Trained:
        """Trains the model in the folder `name`, or finishes its training.

        Args:
          name: `twin`: never given a support set.
          strategy: Who shares a step.
          max_minutes: Stops after this wall-clock time.
          verbose: Keras' progress.
          say: Where a line for people goes.
          max_epochs: Epochs at the most; None: as configured.
          learning_rates: One an epoch, where nothing is validated.
          compiled: Of an earlier training of this run: the graph of a step is used again.
        """
        config, folder, recipe = self.config, self.folder.path / name, self.recipe
        say(f"\nTraining {name}")
        with strategy.scope():
            if compiled is None:
                built = self.setting.build_for_training(recipe, self.prepared)
            else:
                built = compiled.model
                compiled.take_first_weights()
            if config.continue_from is not None:
                start_from_kept(built, self.folder.path, name)
        if max_epochs is not None:
            most = min(max_epochs, recipe.training.max_epochs)
            recipe = replace(recipe, training=replace(recipe.training, max_epochs=most))
        result = fit(
            self.setting,
            built,
            self.prepared,
            recipe,
            folder,
            None if max_minutes is None else max(max_minutes, 0.01),
            verbose,
            with_support=name != TWIN,
            learning_rates=learning_rates,
            steps_before=steps_behind(self.folder.path),
            compiled=compiled,
        )
        if result.resumed_from:
            say(f"Resumed behind epoch {result.resumed_from}.")
        return Trained(self, name, len(result.history), result.compiled)

    def report(self, model: AdaptingModel, twin: AdaptingModel) -> Report:
        """See `report_on`."""
        return report_on(self.setting, model, twin, self.prepared)

    def metrics(self, report: Report) -> dict[str, Any]:
        """The content of `metrics.json`: what was asked of what, and what came of it."""
        curve = self.prepared.curve
        return report.metrics() | {
            "counts": self.prepared.data.counts,
            "episodes_hash": self.prepared.meta_test.fingerprint(),
            "curve_hash": None if curve is None else curve.fingerprint(),
        }

    def write_table(self, report: Report) -> None:
        """Writes what each evaluation task has, and what the model and its controls reached."""
        file = self.folder.path / f"meta_test_{self.setting.form.asked[0]}.csv"
        table = report.tasks()
        counts = self.setting.counts(self.prepared.meta_test)
        for place, (what, count) in enumerate(counts.items(), start=2):
            table.insert(place, what, count)
        write_whole(file, table.to_csv(index=False))

    def write_curves(self, report: Report) -> None:
        """Writes the decisive metric by the size of the support set for TensorBoard.

        Sizes that are a share, as 80% of what is known, are left out.
        """
        curve, metric = self.prepared.curve, self.setting.form.decisive.metric
        if curve is not None:
            lines = {
                name: {
                    size: systems[name].means()[metric]
                    for label, systems in report.curve.items()
                    if (size := curve.sizes[label]) >= 0
                }
                for name in next(iter(report.curve.values()))
            }
            write_curves(self.folder.path / "tensorboard", f"{metric} by support size", lines)

    def export(
        self,
        model: AdaptingModel,
        facts: dict[str, Any],
        further: Mapping[str, Any] | None = None,
        compiled: Sequence[CompiledSize] = (),
    ) -> Exported:
        """Exports the model with what is known of it, unless it has been exported already.

        Args:
          model: The model.
          facts: The content of `metrics.json`.
          further: Tables of `items` and `users` that came after the training.
          compiled: As of `export_model`.

        Raises:
          UnmetRequirementError: The model is not better than what the configuration requires.
        """
        simple = tuple(self.setting.form.simple.labels)
        check_required(required_controls(self.config.require, simple), facts["verdict"])
        manifest = {
            "setting": self.setting.form.name,
            # Where an export was put is no part of it: two of one model are equal.
            "config": settled_options(plain(self.config), ("export_dir",)),
            "data_fingerprint": self.prepared.data.fingerprint(),
            "environment": environment(),
            **facts,
        }
        served = self.setting.served(model, self.prepared, further)
        options = {**self.setting.export_options(self.config), **served.options}
        if compiled:
            options["compiled"] = tuple(compiled)
        learned = self.setting.learned_tasks(self.prepared.data)
        # Ids of users, which an export with a key has to keep to itself, are part of a state.
        continues = self.setting.continues and options.get("user_id_key") is None
        return export_once(
            served.model,
            export_place(self.setting.form, self.config),
            served.user_ids,
            served.item_ids,
            config=settled_options(plain(self.config), FREE_TO_CHANGE),
            manifest=manifest,
            learned=self.setting.named_tasks(learned, options.get("user_id_key")),
            training_state=partial(write_state, self.folder.path) if continues else None,
            **options,
            sample_tasks=self.setting.sample_tasks(self.prepared),
        )


def open_run(setting: Setting, config: Any, say: Say, writes: bool = True) -> SettingRun:
    """Reads the data, prepares it and draws the evaluation tasks, or finds what is there.

    Args:
      setting: What a task is.
      config: Of the run.
      say: Where a line for people goes.
      writes: False in a process that only finds what another has written.

    Raises:
      ValueError, FileNotFoundError, ConnectionError: The data cannot be read, or the folder is of
        another run; a sentence names it.
    """
    # The same command gives the same metrics: no operation may depend on thread timing.
    tf.config.experimental.enable_op_determinism()
    path = run_path(setting, config)
    source = earlier_state(setting, config, path)
    earlier = None if source is None else Earlier.load(source)
    data = setting.open(config, config.seed, earlier)
    if earlier is not None and source is not None:
        check_features(setting, data, earlier, source)
    pa.default_memory_pool().release_unused()  # a table of all rows was in it
    # Before the folder is claimed: what cannot be read or sampled leaves no folder behind.
    left_out = setting.check(data, config)
    folder = RunFolder(path, writes)
    folder.claim(config)
    for what, count in {**data.counts, **left_out}.items():
        say(f"  {what}: {count:,}")
    for line in setting.describe(data):
        say(f"  {line}")
    folder.check_data(data.fingerprint(), config, setting.form.name)
    if writes:
        leave_state(setting, data, folder.path, source)
    run = SettingRun(
        setting, config, folder, setting.prepare(data, folder.path, config, config.seed)
    )
    steps, each = _steps(run.schedule), config.training.steps_per_task
    if steps < _steps(config.training):
        tasks = len(setting.learned_tasks(data))
        say(f"  training steps: {steps:,}, {each} for each of {tasks} tasks")
    if writes:
        keep_steps(folder.path, _steps(run.training))
    return run


def leave_state(setting: Setting, data: TaskData, folder: Path, source: Path | None) -> None:
    """Keeps in a run's folder what it continues, and what a later run needs of its data.

    Args:
      setting: Of the run.
      data: Of the run.
      folder: Its own.
      source: Of what it continues; None: nothing.
    """
    if source is not None:
        keep_state(source, folder)
    state = setting.state(data)
    if state is not None:
        state.save(folder)


def run_path(setting: Setting, config: Any) -> Path:
    """The run's folder: as configured, or named after setting, preset, data and seed."""
    if config.run_dir is not None:
        return Path(config.run_dir)
    quick = "-quick" if config.quick else ""
    name = (
        f"{setting.form.folder_prefix}{config.preset}-{Path(config.data).name}-{config.seed}{quick}"
    )
    return Path("runs") / name


def _steps(training: TrainingConfig) -> int:
    return training.max_epochs * training.steps_per_epoch
