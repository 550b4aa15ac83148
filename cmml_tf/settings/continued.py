"""A run that continues another with further data: what is taken from the earlier one.

Rows of known ids keep their place, with new ids behind them; what was learned from is not held out;
factors start from the earlier ones and stay in their basis; network weights start from the earlier
ones. All of it is copied into the new run's folder, so that the earlier one may be removed; and
into each export of a run, which can be continued in its place.
"""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cmml_tf.config import override
from cmml_tf.datasets.tasks.earlier import EARLIER_FILES, Earlier
from cmml_tf.files import whole_folder, write_whole
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.plain_arrays import open_archive
from cmml_tf.serving.version.manifest import MANIFEST_FILE, read_manifest
from cmml_tf.serving.version.training_state import training_state
from cmml_tf.serving.version.version_folder import version_path, versions
from cmml_tf.settings.base import Setting, TaskData
from cmml_tf.training.checkpoint import best_weights
from cmml_tf.training.run_folder import (
    CONTINUED,
    METRICS,
    MODEL,
    REFIT,
    TWIN,
    load_config,
    plain,
    setting_of,
)

_STEPS = "steps.json"
_FILES = (
    *EARLIER_FILES,
    _STEPS,
    "factors.npz",
    "tastes.npz",
    "weighting.json",
    *(f"{side}_content.npz" for side in ("user", "item")),
    *(f"{known}{side}_embeddings.npy" for known in ("", "known_") for side in ("user", "item")),
)
_BEST = Path("checkpoints") / "best"
_CONTENT = ("user_content.npz", "item_content.npz")
# What has to be the same; where something is read from, and how long is trained, may change.
_OF_THE_MODEL = ("preset", "model", "factors", "embedding", "scenario", "liked")


def earlier_state(setting: Setting, config: Any, folder: Path) -> Path | None:
    """Where the state lies that a run continues: in its own folder, or still in the earlier one.

    Args:
      setting: Of the run.
      config: Its `continue_from`; None: it continues nothing.
      folder: The run's.

    Raises:
      FileNotFoundError: `continue_from` is neither the folder of a run nor an export.
      ValueError: That run is unfinished, of another setting, or its model is another one; an
        export holds no state or a damaged one; or no run of this setting can be continued.
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
    version = _version(source)
    state, before = _of_run(setting, source) if version is None else _of_export(setting, version)
    now = plain(config)
    different = [part for part in _OF_THE_MODEL if plain(before).get(part) != now.get(part)]
    if different:
        where = f"run in {source}" if version is None else f"export {version}"
        raise ValueError(
            f"The {where} cannot be continued with other options of {', '.join(different)}. "
            "Leave them as they were, or train without `continue_from`."
        )
    if config.training.train_embeddings:
        raise ValueError(
            "`training.train_embeddings` must be false in a run that continues another: its tables "
            "have another size."
        )
    return state


def _of_run(setting: Setting, source: Path) -> tuple[Path, Any]:
    """The folder of a finished run, and its configuration."""
    _check_setting(setting, f"run in {source}", setting_of(source))
    # The twin is trained when the model is.
    if not (source / TWIN / _BEST).exists() and not (source / METRICS).exists():
        raise ValueError(
            f"The run in {source} is not finished. Give its training command again; it goes on "
            "where it was."
        )
    return source, load_config(source, setting.form.options.config)


def _of_export(setting: Setting, version: Path) -> tuple[Path, Any]:
    """The state in a version folder, and the configuration that its model was trained with."""
    manifest = read_manifest(version)
    state = training_state(version, manifest.get("training"))
    _check_setting(setting, f"export {version}", str(manifest.get("setting")))
    return state, override(setting.form.options.config(), manifest.get("config") or {})


def _check_setting(setting: Setting, source: str, name: str) -> None:
    if name != setting.form.name:
        raise ValueError(
            f"The {source} is of the setting {name}, and cannot be continued in the setting "
            f"{setting.form.name}."
        )


def _version(source: Path) -> Path | None:
    """The version folder that is meant, of a model base path its largest; None: it is neither."""
    if (source / MANIFEST_FILE).exists():
        return source
    is_run = (source / "config.yaml").exists()  # which may be a model base path as well
    found = [] if is_run else versions(source)
    return version_path(source, found[-1]) if found else None


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
      source: The folder of the earlier run, or its state in an export, or such a copy; with that
        of its refit.
      folder: Of the run.
    """
    kept = folder / CONTINUED
    if not kept.exists():
        with whole_folder(kept) as part:
            _copy(source, part)
            refit = source / REFIT
            if (refit / MODEL / _BEST).exists() or (refit / _kept(MODEL)).exists():
                _copy(refit, part / REFIT)
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
        raise ValueError(_damaged(record)) from error


def keep_steps(folder: Path, own: int) -> None:
    """Writes how many steps, as scheduled, will be behind a run's weights, `own` in it."""
    content = json.dumps({"steps": steps_behind(folder) + own})
    write_whole(folder / _STEPS, content)


def write_state(folder: Path, target: Path) -> None:
    """Writes what a later run needs of a finished one, to go with its export.

    Args:
      folder: Of the run; or of its refit, whose state stands beside that of the run, which alone
        can be evaluated on what was held out.
      target: A new folder.
    """
    if folder.name == REFIT:
        _copy(folder.parent, target)
        _copy(folder, target / REFIT)
    else:
        _copy(folder, target)


def start_from_kept(model: AdaptingModel, folder: Path, name: str) -> None:
    """Sets the trainable weights to those that a training of the continued run ended with.

    What the continued run had no use for keeps its first weights (`weights_that_may_be_new`).

    Args:
      model: To be trained further.
      folder: Of the run that continues another.
      name: `MODEL` or `TWIN`.

    Raises:
      ValueError: They are missing or damaged, or another model's.
    """
    file = folder / CONTINUED / _kept(name)
    try:
        with open_archive(file) as archive:
            kept = archive.read(lambda name: True)
    except (OSError, ValueError) as error:
        raise ValueError(_damaged(file)) from error
    weights = model.trainable_variables
    found = [kept.get(str(index)) for index in range(len(kept))]
    if len(weights) - len(found) == model.weights_that_may_be_new:
        weights = weights[: len(found)]
    if [tuple(one.shape) for one in weights] != [one.shape for one in found if one is not None]:
        raise ValueError(f"The weights in {file} do not fit this model: their shapes are others.")
    for weight, value in zip(weights, found, strict=True):
        weight.assign(value)


def _kept(name: str) -> str:
    return f"{name}.npz"


def _damaged(file: Path) -> str:
    return (
        f"{file} is missing or damaged, so the run cannot be continued with further data: an "
        "earlier version of the library wrote it, or it is not complete. Train without "
        "`continue_from`."
    )


def _copy(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in (*_FILES, _kept(MODEL), _kept(TWIN)):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    for name in (MODEL, TWIN):
        if (source / name / _BEST).exists():
            weights = best_weights(source / name / _BEST.parent)
            # Without the names that TensorFlow's checkpoints have, which differ between processes.
            arrays: dict[str, Any] = {str(index): one for index, one in enumerate(weights)}
            np.savez(target / _kept(name), **arrays)
