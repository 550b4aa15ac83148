"""A run that continues another with further data: what is taken from the earlier one.

Rows of known ids keep their place, with new ids behind them; what was learned from is not held out;
factors start from the earlier ones and stay in their basis; network weights start from the earlier
ones. All of it is copied into the new run's folder, so that the earlier one may be removed.
"""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from cmml_tf.datasets.tasks.earlier import EARLIER_FILES, Earlier
from cmml_tf.files import whole_folder, write_whole
from cmml_tf.serving.version.manifest import MANIFEST_FILE
from cmml_tf.settings.base import Setting, TaskData
from cmml_tf.training.run_folder import CONTINUED, METRICS, REFIT, load_config, plain, setting_of

_STEPS = "steps.json"
_FILES = (
    *EARLIER_FILES,
    _STEPS,
    "factors.npz",
    "weighting.json",
    *(f"{side}_content.npz" for side in ("user", "item")),
    *(f"{known}{side}_embeddings.npy" for known in ("", "known_") for side in ("user", "item")),
)
_WEIGHTS = tuple(f"{name}/checkpoints/best" for name in ("model", "twin"))
_CONTENT = ("user_content.npz", "item_content.npz")
# What has to be the same; where something is read from, and how long is trained, may change.
_OF_THE_MODEL = ("preset", "model", "factors", "embedding", "scenario", "liked")


def earlier_state(setting: Setting, config: Any, folder: Path) -> Path | None:
    """Where the state lies that a run continues: in its own folder, or still in the earlier run's.

    Args:
      setting: Of the run.
      config: Its `continue_from`; None: it continues nothing.
      folder: The run's.

    Raises:
      FileNotFoundError: `continue_from` is no folder of a run.
      ValueError: That run is unfinished, of another setting, or its model is another one; or no
        run of this setting can be continued.
    """
    if config.continue_from is None:
        return None
    if not setting.continues:
        raise ValueError(
            f"`continue_from` must be none: a run of the setting {setting.form.name} cannot be "
            "continued with further data. Train it from the beginning."
        )
    if (folder / CONTINUED).exists():
        return folder / CONTINUED
    source = Path(config.continue_from)
    if any(source.glob(f"**/{MANIFEST_FILE}")) and not (source / "config.yaml").exists():
        raise ValueError(
            "`continue_from` must be the folder of a run: an export has not what training needs. "
            f"Received: continue_from={config.continue_from!r}, which is an export."
        )
    name = setting_of(source)
    if name != setting.form.name:
        raise ValueError(
            f"The run in {source} is of the setting {name}, and cannot be continued in the setting "
            f"{setting.form.name}."
        )
    # The twin is trained when the model is.
    if not (source / _WEIGHTS[1]).exists() and not (source / METRICS).exists():
        raise ValueError(
            f"The run in {source} is not finished. Give its training command again; it goes on "
            "where it was."
        )
    before = plain(load_config(source, setting.form.options.config))
    now = plain(config)
    different = [part for part in _OF_THE_MODEL if before.get(part) != now.get(part)]
    if different:
        raise ValueError(
            f"The run in {source} cannot be continued with other options of {', '.join(different)}."
            " Leave them as they are in its config.yaml, or train without `continue_from`."
        )
    if config.training.train_embeddings:
        raise ValueError(
            "`training.train_embeddings` must be false in a run that continues another: its tables "
            "have another size."
        )
    return source


def check_features(setting: Setting, data: TaskData, earlier: Earlier, source: Path) -> None:
    """Refuses features other than those that the earlier run was trained with.

    Raises:
      ValueError: Some are new, gone, or of another kind.
    """
    state = setting.state(data)
    now = set() if state is None else set(state.features)
    before = set(earlier.features)
    if now != before:
        raise ValueError(
            f"The features must be those of the run in {source}. Only then: "
            f"{', '.join(sorted(before - now)) or 'none'}; only now: "
            f"{', '.join(sorted(now - before)) or 'none'}. Declare their kinds with `kinds`, or "
            "train without `continue_from`."
        )


def keep_state(source: Path, folder: Path) -> None:
    """Copies a state into the folder of the run that continues it, unless it is there.

    Args:
      source: Of the earlier run, its refit's state included, or of such a copy.
      folder: Of the run.
    """
    kept = folder / CONTINUED
    if not kept.exists():
        with whole_folder(kept) as part:
            _copy(source, part)
            if (source / REFIT / _WEIGHTS[0]).exists():
                _copy(source / REFIT, part / REFIT)
    for name in _CONTENT:  # the encoders that rows and weights belong to
        if (kept / name).exists() and not (folder / name).exists():
            with (kept / name).open("rb") as encoder:
                write_whole(folder / name, partial(shutil.copyfileobj, encoder))


def steps_behind(folder: Path) -> int:
    """Steps, as scheduled, behind the weights that a run starts from; 0: it continues nothing.

    Args:
      folder: Of the run.

    Raises:
      ValueError: What it continues does not say so.
    """
    if not (folder / CONTINUED).exists():
        return 0
    record = folder / CONTINUED / _STEPS
    try:
        return int(json.loads(record.read_text())["steps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{record} is missing or damaged, so the run cannot be continued with further data: "
            "an earlier version of the library wrote it, or it is not complete. Train without "
            "`continue_from`."
        ) from error


def keep_steps(folder: Path, own: int) -> None:
    """Writes how many steps, as scheduled, will be behind a run's weights, `own` in it."""
    content = json.dumps({"steps": steps_behind(folder) + own})
    write_whole(folder / _STEPS, content)


def _copy(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in _FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    for name in _WEIGHTS:
        if (source / name).exists():
            shutil.copytree(source / name, target / name)
