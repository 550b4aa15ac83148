"""A new log as evaluation tasks for exports: what none of them has learned from is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.config import override
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.operation.export_scorer import ExportScorer, LogIds, known_rows, log_ids
from cmml_tf.operation.loaded_export import Answering, Export
from cmml_tf.settings.base import AskedTasks, Prepared, Setting, TaskData
from cmml_tf.settings.named import SETTINGS

_SEED = 0


class Told(NamedTuple):
    """An export before the tasks of a log.

    Attributes:
      scorer: The export.
      prepared: The tasks, which tell apart what this export knows.
      known: Shares of what is asked whose `users`, and whose `items`, it knows.
    """

    scorer: Scorer
    prepared: Prepared[TaskData, AskedTasks]
    known: dict[str, float]


class AskedLog(NamedTuple):
    """A log that exports are asked about.

    Attributes:
      setting: What a task is.
      prepared: The tasks.
      protocol: `strict` or `time` where no export has learned from a task, else `warm`.
      user_id_key: What exports hash user ids with; None: they do not.
    """

    setting: Setting
    prepared: Prepared[TaskData, AskedTasks]
    protocol: str
    user_id_key: bytes | None

    def told(self, export: Export, answering: Answering) -> Told:
        """The log before an export: who answers for it is itself, or a server."""
        known = known_rows(answering, self._ids(export), export.limits)
        prepared, shares = self.setting.told(self.prepared, known)
        return Told(self.scorer(export, answering), prepared, shares)

    def scorer(self, export: Export, answering: Answering) -> Scorer:
        """An export as a system that is asked, whatever it knows."""
        return ExportScorer(answering, self._ids(export), export.limits)

    def _ids(self, export: Export) -> LogIds:
        data = self.prepared.data
        return log_ids(export, data.user_ids, data.item_ids, self.user_id_key)


def open_asked_log(
    exports: Sequence[Export],
    data: str,
    folder: Path,
    options: Mapping[str, Any] | None = None,
    user_id_key: bytes | None = None,
) -> AskedLog:
    """Reads a log by the configuration that the first export was trained with.

    Tasks that an export has learned from are left out; where that leaves fewer than two, all are
    asked and the protocol is `warm`.

    Args:
      exports: Who will be asked, of one setting.
      data: Name or path of the log, as `--data` of a training takes it.
      folder: For files of the evaluation.
      options: Options of the run by nested names that are to be others, as
        `{"scenario": {"min_interactions": 20}}`.
      user_id_key: What the exports hash user ids with.

    Raises:
      ValueError, FileNotFoundError, ConnectionError: The log cannot be read, or holds nothing to
        ask; or exports are of different settings or of one that is not known.
    """
    setting = setting_of(exports[0])
    given = {
        "data": data,
        "run_dir": None,
        "continue_from": None,
        "strategy": "none",
        "require": None,
    }
    config = override(trained_config(exports[0]), {**given, **(options or {})})

    def learned(names: Sequence[Any]) -> np.ndarray:
        named = setting.named_tasks(names, user_id_key)
        return np.any([export.has_learned(named) for export in exports], axis=0)

    opened = setting.open_log(config, _SEED, lambda names: ~learned(names))
    prepared = setting.prepare(opened, folder, config, _SEED)
    is_warm = bool(learned(prepared.meta_test.names).any())
    protocol = "warm" if is_warm else setting.protocol(opened)
    return AskedLog(setting, prepared, protocol, user_id_key)


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
