"""What every system of one seed has in common: data, embeddings, evaluation episodes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmml_tf.config import EmbeddingConfig, EpisodeConfig
from cmml_tf.datasets.scenario_data import HeldOutScenario, ScenarioData
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings
from cmml_tf.episodes.evaluation_episodes import EvaluationEpisodes


@dataclass(frozen=True)
class ScenarioParts:
    """Data, embeddings and evaluation episodes: what every system of one seed has in common."""

    data: ScenarioData
    user_embeddings: np.ndarray
    item_embeddings: np.ndarray
    validation: EvaluationEpisodes | None
    meta_test: EvaluationEpisodes


def scenario_parts(
    data: ScenarioData, folder: Path, embedding: EmbeddingConfig, episode: EpisodeConfig, seed: int
) -> ScenarioParts:
    """Fits the embeddings and draws the evaluation episodes, or finds both in `folder`."""
    user, item = _embeddings(embedding, folder, data, seed)
    validation = None
    if data.validation:
        validation = _episodes(folder / "validation.npz", data.validation, episode, seed * 4 + 1)
    meta_test = _episodes(folder / "meta_test.npz", data.meta_test, episode, seed * 4 + 2)
    return ScenarioParts(data, user, item, validation, meta_test)


def _embeddings(
    config: EmbeddingConfig, folder: Path, data: ScenarioData, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    file = folder / "embeddings.npz"
    if file.exists():
        with np.load(file, allow_pickle=False) as arrays:
            return arrays["user"], arrays["item"]
    user, item = pretrained_embeddings(data, config, seed)
    beside = file.with_name(".embeddings.npz")
    np.savez(beside, user=user, item=item)
    beside.replace(file)
    return user, item


def _episodes(
    file: Path, scenarios: tuple[HeldOutScenario, ...], config: EpisodeConfig, seed: int
) -> EvaluationEpisodes:
    if file.exists():
        return EvaluationEpisodes.load(file)
    episodes = EvaluationEpisodes.draw(scenarios, config, seed)
    episodes.save(file)
    return episodes
