"""The parts of a user run that training and a later export have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from cmml_tf.datasets.open_rating_data import open_rating_data
from cmml_tf.datasets.rating_tasks import RatingData
from cmml_tf.evaluation.rating_systems import build_rating_cmml
from cmml_tf.hashed_ids import read_user_id_key
from cmml_tf.models.cmml import CMML
from cmml_tf.serving.exported import Exported, export_once
from cmml_tf.serving.rating_export import export_rating_model
from cmml_tf.training.checkpoint import restore_best_weights
from cmml_tf.training.run_folder import (
    FREE_TO_CHANGE,
    RunFolder,
    environment,
    plain,
    settled_options,
)
from cmml_tf.user_config import UserRunConfig


@dataclass(frozen=True)
class UserRun:
    """A configuration, its data, and its folder."""

    config: UserRunConfig
    data: RatingData
    folder: RunFolder

    def model(self) -> CMML:
        """A model of these users and items, with its initial weights fixed by the seed."""
        own = self.config
        return build_rating_cmml(own.model, self.data, own.episode, own.training, own.seed)

    def trained(self) -> CMML:
        """The model of the run as it has been trained."""
        model = self.model()
        restore_best_weights(model, self.folder.path / "model" / "checkpoints")
        return model

    def export(self, model: CMML, metrics: dict[str, Any]) -> Exported:
        """Exports the model with what is known of it, unless it has been exported already."""
        tasks = self.config.tasks
        return export_once(
            export_rating_model,
            model,
            Path(self.config.export_dir),
            self.data.user_ids,
            self.data.item_ids,
            config=settled_options(plain(self.config), FREE_TO_CHANGE),
            manifest={
                "config": plain(self.config),
                "data_fingerprint": self.data.fingerprint(),
                "environment": environment(),
                **metrics,
            },
            scale=(tasks.lowest, tasks.highest),
            limits=self.config.limits,
            user_id_key=read_user_id_key(self.config.hash_user_ids),
        )


def prepare(config: UserRunConfig, writes: bool = True) -> UserRun:
    """Reads the data and claims the folder.

    Args:
      config: Of the run.
      writes: False in a process that only finds what another has written.
    """
    # The same command gives the same metrics: no operation may depend on thread timing.
    tf.config.experimental.enable_op_determinism()
    data = open_rating_data(config.data, config.tasks, config.seed, read=config.read)
    folder = RunFolder(run_path(config), writes)
    folder.claim(config)
    folder.check_data(data.fingerprint(), config)
    return UserRun(config, data, folder)


def run_path(config: UserRunConfig) -> Path:
    """The run's folder: as configured, or named after preset, data and seed."""
    if config.run_dir is not None:
        return Path(config.run_dir)
    quick = "-quick" if config.quick else ""
    return Path("runs") / f"user-{config.preset}-{Path(config.data).name}-{config.seed}{quick}"
