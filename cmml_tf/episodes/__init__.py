"""Tasks for learning and for evaluation (paper section 2)."""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)

from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisode, EvaluationEpisodes
from cmml_tf.episodes.sampled_steps import sampled_steps
from cmml_tf.episodes.sampler import EpisodeSampler

__all__ = ["EpisodeSampler", "EvaluationEpisode", "EvaluationEpisodes", "sampled_steps"]
