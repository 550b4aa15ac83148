"""Evaluation of a data set's meta-test scenarios with CMML-FiLM (GRU 256)."""

import time
from typing import Any

from benchmarks.made_up import fill_tables
from cmml_tf.config import EmbeddingConfig, EpisodeConfig, ModelConfig, ScenarioConfig, SplitConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings
from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisodes
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.models.build import build_model


def measure(data_name: str) -> dict[str, Any]:
    """CPU seconds of the process from the loaded data to the metrics, tracing included."""
    data = open_scenario_data(data_name, ScenarioConfig(), SplitConfig(), 0)
    user, item = pretrained_embeddings(data, EmbeddingConfig(), 0)
    model = build_model(ModelConfig(), len(user), len(item), user.shape[1], item.shape[1])
    fill_tables(model, user, item)
    start = time.process_time()
    episodes = EvaluationEpisodes.draw(data.meta_test, EpisodeConfig(), 0)
    evaluation = evaluate_ranking(candidate_scores(ModelScorer(model, tasks=1)), episodes)
    return {
        "data": data.name,
        "scenarios": len(episodes),
        "user_scenario_pairs": len(evaluation.task),
        "cpu_seconds": time.process_time() - start,
    }
