"""CMML whose backbone ends in a distribution over the levels of a rating scale."""

import tensorflow as tf

from cmml_tf.layers.ordinal.levels import level_interval, level_weights, mean_level, median_level
from cmml_tf.models.cmml import CMML
from cmml_tf.types import Episode, SampledEpisode


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class OrdinalCMML(CMML):
    """A CMML of `FoldInEncoder`, `NeighbourContext` and `OrdinalRecommender`.

    The score is the mean of the distribution; `answers` has its median and an interval as well. A
    task gets the logits and the labels as weights of levels.
    """

    answer_names = ("score", "score_median", "score_low", "score_high")

    def compute_loss(self, episode: Episode | SampledEpisode, training: bool = False) -> tf.Tensor:
        """The mean loss over the tasks of a batch, of the distributions of the query ratings.

        Raises:
          ValueError: The model was built without a task.
        """
        if self.task is None:
            raise ValueError("The model has no `task`: give one to train or evaluate its loss.")
        context = self.encode_context(episode.support, training)
        pairs = self.pair_embedding(episode.query_user, episode.query_item)
        logits = self.recommender.logits(pairs, self.hybrid(context, pairs))
        label = level_weights(episode.query_label, self.recommender.levels)
        return tf.reduce_mean(self.task(logits, label))

    def answers(
        self, adapted: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """`score`, the mean, `score_median`, and `score_low`, `score_high`, the 80% interval.

        Args:
          adapted: The context, float32 [B, D].
          query_user, query_item: int [B, Q] rows.

        Returns:
          float32 [B, Q] each.
        """
        levels = self.recommender.levels
        pairs = self.pair_embedding(query_user, query_item)
        probability = self.recommender.probability(pairs, self.hybrid(adapted, pairs))
        ends = level_interval(probability, levels)
        return {
            "score": mean_level(probability, levels),
            "score_median": median_level(probability, levels),
            "score_low": ends[..., 0],
            "score_high": ends[..., 1],
        }
