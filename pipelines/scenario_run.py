"""The parts of a scenario run that training and later evaluation have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from cmml_tf.config import ModelConfig, ScenarioRunConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.episodes.sampler import EpisodeSampler
from cmml_tf.evaluation.scenario_parts import ScenarioParts, scenario_parts
from cmml_tf.evaluation.scenario_systems import build_cmml
from cmml_tf.hashed_ids import read_user_id_key
from cmml_tf.models.cmml import CMML
from cmml_tf.models.presets import model_preset
from cmml_tf.serving.export import export_model
from cmml_tf.serving.exported import Exported, export_once
from cmml_tf.training.checkpoint import restore_best_weights
from cmml_tf.training.run_folder import (
    FREE_TO_CHANGE,
    RunFolder,
    environment,
    plain,
    settled_options,
)


@dataclass(frozen=True)
class ScenarioRun(ScenarioParts):
    """The parts of one configuration, and its folder."""

    config: ScenarioRunConfig
    folder: RunFolder

    def model(self, config: ModelConfig) -> CMML:
        """A model of these users and items, with its initial weights fixed by the seed."""
        own = self.config
        return build_cmml(config, self, own.training, own.seed, own.episode.loss)

    def trained(self, config: ModelConfig | None = None, name: str = "model") -> CMML:
        """The model of the run that has been trained in its folder `name`."""
        model = self.model(config or self.config.model)
        restore_best_weights(model, self.folder.path / name / "checkpoints")
        return model

    def export(self, model: CMML, metrics: dict[str, Any]) -> Exported:
        """Exports the model with what is known of it, unless it has been exported already."""
        return export_once(
            export_model,
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
            limits=self.config.limits,
            user_id_key=read_user_id_key(self.config.hash_user_ids),
        )

    def no_context_config(self) -> ModelConfig:
        """The same backbone without a context; soft modules stand in as layers of their width."""
        return ModelConfig(
            encoder="none",
            hybrid="none",
            modulation="none",
            backbone_units=self.config.model.backbone_units,
            bias_initial_value=model_preset("no-context").bias_initial_value,
        )


def prepare(config: ScenarioRunConfig, writes: bool = True) -> ScenarioRun:
    """Reads the data, fits the embeddings and draws the evaluation episodes, or finds them.

    Args:
      config: Of the run.
      writes: False in a process that only finds what another has written.
    """
    # The same command gives the same metrics: no operation may depend on thread timing.
    tf.config.experimental.enable_op_determinism()
    data = open_scenario_data(
        config.data, config.scenario, config.split, config.seed, read=config.read
    )
    # Before the folder is claimed: what cannot be read or sampled leaves no folder behind.
    sampler = EpisodeSampler(data, config.episode, config.seed)
    folder = RunFolder(run_path(config), writes)
    folder.claim(config)
    for what, count in data.counts.items():
        print(f"  {what}: {count:,}")
    if sampler.pairs_without_negative:
        print(f"  pairs whose user took every item, left out: {sampler.pairs_without_negative:,}")
    folder.check_data(data.fingerprint(), config)
    parts = scenario_parts(data, folder.path, config.embedding, config.episode, config.seed)
    return ScenarioRun(**vars(parts), config=config, folder=folder)


def run_path(config: ScenarioRunConfig) -> Path:
    """The run's folder: as configured, or named after preset, data and seed."""
    if config.run_dir is not None:
        return Path(config.run_dir)
    quick = "-quick" if config.quick else ""
    return Path("runs") / f"{config.preset}-{Path(config.data).name}-{config.seed}{quick}"
