"""A refit: the configuration that was evaluated, trained on everything, held-out tasks included.

What an evaluation sets aside is of no use to the model that is served. A refit takes the steps that
the evaluated training found to be the best, at the same learning rates, and validates nothing. It
cannot be evaluated: nothing is left that it has not seen. Its figures are those of the model that
was.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.datasets.tasks.earlier import Earlier
from cmml_tf.settings.continued import keep_steps
from cmml_tf.settings.run import Say, SettingRun, leave_state
from cmml_tf.training.checkpoint import best_epoch
from cmml_tf.training.history_log import read_history
from cmml_tf.training.run_folder import CONTINUED, MODEL, REFIT, RunFolder

_FIGURES = (
    "of the evaluated model, which was trained alike without the tasks that it was asked; this one "
    "knows them too, and was asked nothing"
)


class Refit(NamedTuple):
    """A trained refit.

    Attributes:
      run: With everything to learn from; in the folder `refit` of the evaluated run's.
      facts: What a manifest says of it beside the evaluated run's metrics.
    """

    run: SettingRun
    facts: dict[str, Any]


def refit(evaluated: SettingRun, say: Say, verbose: int) -> Refit:
    """Trains a run's refit, or finishes it, or finds it.

    Args:
      evaluated: A run whose model has been trained.
      say: Where a line for people goes.
      verbose: Keras' progress: 0 silent, 1 a bar, 2 a line an epoch.

    Raises:
      FileNotFoundError: No epoch of the run has been completed.
      ValueError: The setting has no refits, or the refit in the folder is of another state of the
        run.
    """
    setting, own = evaluated.setting, evaluated.config
    if not setting.refits:
        raise ValueError(
            f"A run of the setting {setting.form.name} cannot be trained on everything."
        )
    trained = evaluated.folder.path / MODEL
    epochs = best_epoch(trained / "checkpoints")
    # The steps that were found to be the best, not as many as more tasks are worth.
    config = replace(own, training=evaluated.schedule, strategy="none", max_minutes=None)
    source = _continued(evaluated.folder.path)
    earlier = None if source is None else Earlier.load(source)
    data = setting.open(config, config.seed, earlier, whole=True)
    folder = RunFolder(evaluated.folder.path / REFIT)
    # Of another state of the run, with another best epoch, it is another refit.
    found = replace(config, training=replace(evaluated.training, max_epochs=epochs))
    folder.claim(found)
    folder.check_data(data.fingerprint(), found, REFIT)
    leave_state(setting, data, folder.path, source)
    before, now = setting.learned(evaluated.prepared.data), setting.learned(data)
    added = {what: count - before[what] for what, count in now.items()}
    for what, count in now.items():
        say(f"  {what} learned from: {count:,} ({added[what]:+,})")
    prepared = setting.prepare(data, folder.path, config, config.seed)
    run = SettingRun(setting, config, folder, prepared)
    steps = epochs * run.training.steps_per_epoch
    keep_steps(folder.path, steps)
    # Where nothing was validated, the learning rate stayed the first and is in no history.
    rates = [row["lr"] for row in read_history(trained)[:epochs] if "lr" in row]
    alone = tf.distribute.get_strategy()
    run.train(MODEL, alone, None, verbose, say, max_epochs=epochs, learning_rates=rates or None)
    facts = {
        "figures": _FIGURES,
        "steps": steps,
        "learned": now,
        "added": added,
        "evaluated_data_fingerprint": evaluated.prepared.data.fingerprint(),
    }
    return Refit(run, {REFIT: facts})


def _continued(folder: Path) -> Path | None:
    """What the refit of a run continues: the earlier run's refit, or what there is of that run."""
    kept = folder / CONTINUED
    if not kept.exists():
        return None
    return kept / REFIT if (kept / REFIT).exists() else kept
