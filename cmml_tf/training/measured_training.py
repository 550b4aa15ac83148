"""A training with what it took, remembered beside its checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path

from cmml_tf.files import write_whole
from cmml_tf.training.efficiency import Cost, CpuTimer, peak_memory_mib
from cmml_tf.training.fit import TrainingResult
from cmml_tf.training.run_folder import read_record


def measured_training(
    folder: Path, fit: Callable[[], TrainingResult], steps_per_epoch: int
) -> Cost:
    """Runs `fit` and returns its cost; of a training that is complete, the remembered one.

    Args:
      folder: Of the training; `training.json` appears in it when the training is complete.
      fit: Trains a model or, when all epochs are done, only sets its best weights.
      steps_per_epoch: Training steps of an epoch.
    """
    timer = CpuTimer()
    result = fit()
    file = folder / "training.json"
    if file.exists():
        return Cost(**read_record(file, Cost._fields))
    epochs = len(result.history)
    here = epochs - result.resumed_from
    cost = Cost(
        steps=epochs * steps_per_epoch,
        train_cpu_seconds=timer.cpu * epochs / here if here else None,
        train_seconds=timer.wall * epochs / here if here else None,
        peak_memory_mib=peak_memory_mib(),
    )
    write_whole(file, json.dumps(cost._asdict()))
    return cost
