"""A new log as evaluation tasks for exports: what none of them has learned from is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.config import ReadConfig, override
from cmml_tf.datasets.check_source import FeatureSource, check_features
from cmml_tf.datasets.open_features import SIDES
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.operation.export_scorer import (
    DescribedScorer,
    ExportScorer,
    LogIds,
    known_rows,
    log_ids,
)
from cmml_tf.operation.loaded_export import Answering, Export
from cmml_tf.operation.log_content import LogContent, log_content
from cmml_tf.settings.base import AskedTasks, Prepared, Setting, TaskData
from cmml_tf.settings.named import SETTINGS

_SEED = 0


class GivenLog(NamedTuple):
    """A log as somebody names it.

    Attributes:
      data: Its name or path, as `--data` of a training takes it.
      options: Options of the training by nested names that are to be others, as
        `{"scenario": {"min_interactions": 20}}`.
      user_id_key: What the exports hash user ids with; None: they do not.
      tables: Of features of its items and users; exports that read features are sent them.
    """

    data: str
    options: Mapping[str, Any] = MappingProxyType({})
    user_id_key: bytes | None = None
    tables: FeatureSource = FeatureSource()


class Told(NamedTuple):
    """An export before the tasks of a log.

    Attributes:
      scorer: The export.
      prepared: The tasks, which tell apart what this export knows.
      known: Shares of what is asked whose `users`, and whose `items`, it knows.
      described: How many `items`, and how many `users`, it does not know, and reads the features
        of; empty where it is asked by ids alone.
    """

    scorer: Scorer
    prepared: Prepared[TaskData, AskedTasks]
    known: dict[str, float]
    described: dict[str, int]


class AskedLog(NamedTuple):
    """A log that exports are asked about.

    Attributes:
      setting: What a task is.
      prepared: The tasks.
      protocol: `strict` or `time` where no export has learned from a task, else `warm`.
      user_id_key: What exports hash user ids with; None: they do not.
      tables: Of features of the log's items and users.
      read: How these are read.
    """

    setting: Setting
    prepared: Prepared[TaskData, AskedTasks]
    protocol: str
    user_id_key: bytes | None
    tables: FeatureSource
    read: ReadConfig

    def told(self, export: Export, answering: Answering) -> Told:
        """The log before an export: who answers for it is itself, or a server."""
        known = known_rows(answering, self._ids(export), export.limits)
        prepared, shares = self.setting.told(self.prepared, known)
        content = self._content(export)
        described = {}
        if content is not None:
            new = {"items": ~known.items, "users": ~known.users}
            described = {
                f"{side}s": int((new[f"{side}s"] & content.described[side]).sum()) for side in SIDES
            }
        return Told(self.scorer(export, answering), prepared, shares, described)

    def scorer(self, export: Export, answering: Answering) -> Scorer:
        """An export as a system that is asked, whatever it knows."""
        ids, content = self._ids(export), self._content(export)
        if content is None:
            return ExportScorer(answering, ids, export.limits)
        return DescribedScorer(answering, ids, export.limits, content)

    def _ids(self, export: Export) -> LogIds:
        data = self.prepared.data
        return log_ids(export, data.user_ids, data.item_ids, self.user_id_key)

    def _content(self, export: Export) -> LogContent | None:
        data = self.prepared.data
        if not isinstance(data, ScenarioData):
            return None
        return log_content(export, data, self.tables, self.read)


def open_asked_log(exports: Sequence[Export], log: GivenLog, folder: Path) -> AskedLog:
    """Reads a log by the configuration that the first export was trained with.

    Tasks that an export has learned from are left out; where that leaves fewer than two, all are
    asked and the protocol is `warm`.

    Args:
      exports: Who will be asked, of one setting.
      log: The log.
      folder: For files of the evaluation.

    Raises:
      ValueError, FileNotFoundError, ConnectionError: The log or a table cannot be read, or holds
        nothing to ask; the setting is not known; or no export reads the features of a table.
    """
    setting, key = setting_of(exports[0]), log.user_id_key
    check_features(log.tables)
    for side, table in (("item", log.tables.items), ("user", log.tables.users)):
        if table is not None and not any(export.features(side) for export in exports):
            raise ValueError(
                f"`{side}s` must be left out: {exports[0].folder} reads no features of {side}s "
                f"that it does not know. Received: {side}s={table}."
            )
    given = {
        "data": log.data,
        "run_dir": None,
        "continue_from": None,
        "strategy": "none",
        "require": None,
    }
    config = override(trained_config(exports[0]), {**given, **log.options})

    def learned(names: Sequence[Any]) -> np.ndarray:
        named = setting.named_tasks(names, key)
        return np.any([export.has_learned(named) for export in exports], axis=0)

    opened = setting.open_log(config, _SEED, lambda names: ~learned(names))
    prepared = setting.prepare(opened, folder, config, _SEED)
    is_warm = bool(learned(prepared.meta_test.names).any())
    protocol = "warm" if is_warm else setting.protocol(opened)
    return AskedLog(setting, prepared, protocol, key, log.tables, config.read)


def setting_of(export: Export) -> Setting:
    """The setting that an export is of.

    Raises:
      ValueError: It does not say, or of one that is not known.
    """
    name = export.check_setting()
    if name not in SETTINGS:
        raise ValueError(
            f"{export.folder} must be of one of the settings {', '.join(SETTINGS)}. "
            f"Received: {name!r}."
        )
    return SETTINGS[name]


def trained_config(export: Export) -> Any:
    """The configuration that an export was trained with.

    Raises:
      ValueError: It does not say, or of options that this version does not take.
    """
    setting, options = setting_of(export), export.manifest.get("config")
    if options is None:
        raise ValueError(
            f"{export.folder} does not say how it was configured: its manifest has no `config`. "
            "Export its run again."
        )
    try:
        return override(setting.form.options.config(), options)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{export.folder} was configured by options that this version does not take; train it "
            f"again, or use the version that exported it. {error}"
        ) from error
