"""The parts of a scenario run that training and later evaluation have in common."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from cmml_tf.config import ModelConfig, ScenarioRunConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.scenario_data import HeldOutScenario, ScenarioData
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings
from cmml_tf.episodes.evaluation_episodes import EvaluationEpisodes
from cmml_tf.episodes.sampler import EpisodeSampler
from cmml_tf.models.build import build_model
from cmml_tf.models.cmml import CMML
from cmml_tf.models.presets import model_preset
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.training.run_folder import RunFolder


@dataclass(frozen=True)
class ScenarioRun:
    """Data, embeddings and evaluation episodes of one configuration."""

    config: ScenarioRunConfig
    folder: RunFolder
    data: ScenarioData
    user_embeddings: np.ndarray
    item_embeddings: np.ndarray
    validation: EvaluationEpisodes | None
    meta_test: EvaluationEpisodes

    def model(self, config: ModelConfig) -> CMML:
        """A model of these users and items, with its initial weights fixed by the seed."""
        tf.keras.utils.set_random_seed(self.config.seed)
        model = build_model(
            config,
            users=len(self.data.user_ids),
            items=len(self.data.item_ids),
            user_dimension=self.user_embeddings.shape[1],
            item_dimension=self.item_embeddings.shape[1],
            trainable_tables=self.config.training.train_embeddings,
            task=HingeTask(),
            gradient_clip=self.config.training.gradient_clip,
        )
        model.pair_embedding.set_tables(self.user_embeddings, self.item_embeddings)
        return model

    def no_context_config(self) -> ModelConfig:
        """The same backbone without a context; soft modules stand in as layers of their width."""
        return ModelConfig(
            encoder="none",
            hybrid="none",
            modulation="none",
            backbone_units=self.config.model.backbone_units,
            bias_initial_value=model_preset("no-context").bias_initial_value,
        )


def prepare(config: ScenarioRunConfig) -> ScenarioRun:
    """Reads the data, fits the embeddings and draws the evaluation episodes, or finds them."""
    # The same command gives the same metrics: no operation may depend on thread timing.
    tf.config.experimental.enable_op_determinism()
    data = open_scenario_data(
        config.data, config.scenario, config.split, config.seed, read=config.read
    )
    # Before the folder is claimed: what cannot be read or sampled leaves no folder behind.
    sampler = EpisodeSampler(data, config.episode, config.seed)
    folder = RunFolder(run_path(config))
    folder.claim(config)
    for what, count in data.counts.items():
        print(f"  {what}: {count:,}")
    if sampler.pairs_without_negative:
        print(f"  pairs whose user took every item, left out: {sampler.pairs_without_negative:,}")
    folder.check_data(data.fingerprint())
    user, item = _embeddings(config, folder.path, data)
    validation = None
    if data.validation:
        validation = _episodes(folder.path / "validation.npz", data.validation, config, 1)
    meta_test = _episodes(folder.path / "meta_test.npz", data.meta_test, config, 2)
    return ScenarioRun(config, folder, data, user, item, validation, meta_test)


def run_path(config: ScenarioRunConfig) -> Path:
    """The run's folder: as configured, or named after preset, data and seed."""
    if config.run_dir is not None:
        return Path(config.run_dir)
    quick = "-quick" if config.quick else ""
    return Path("runs") / f"{config.preset}-{Path(config.data).name}-{config.seed}{quick}"


def _embeddings(
    config: ScenarioRunConfig, folder: Path, data: ScenarioData
) -> tuple[np.ndarray, np.ndarray]:
    file = folder / "embeddings.npz"
    if file.exists():
        with np.load(file, allow_pickle=False) as arrays:
            return arrays["user"], arrays["item"]
    user, item = pretrained_embeddings(data, config.embedding, config.seed)
    beside = file.with_name(".embeddings.npz")
    np.savez(beside, user=user, item=item)
    beside.replace(file)
    return user, item


def _episodes(
    file: Path, scenarios: tuple[HeldOutScenario, ...], config: ScenarioRunConfig, stream: int
) -> EvaluationEpisodes:
    if file.exists():
        return EvaluationEpisodes.load(file)
    episodes = EvaluationEpisodes.draw(scenarios, config.episode, config.seed * 4 + stream)
    episodes.save(file)
    return episodes
