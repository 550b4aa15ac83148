"""MeLU: the decision layers adapt to a user by gradient steps (Lee et al. 2019)."""

from typing import Any

import tensorflow as tf

from cmml_tf.baselines.gradient_based.gradient_steps import gradient_steps
from cmml_tf.baselines.gradient_based.support_loss import support_squared_error
from cmml_tf.baselines.interaction_mlp import InteractionMLP
from cmml_tf.baselines.pair_network import PairNetwork
from cmml_tf.baselines.task_weights import per_task
from cmml_tf.config.baselines import MeluConfig
from cmml_tf.layers.feature_embedding import FeaturePairEmbedding
from cmml_tf.types import Support


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class MeLU(PairNetwork):
    """MAML on the fully connected layers; the embeddings stay as they are in the inner loop.

    Args:
      pair_embedding: Features to pair embeddings e.
      network: Pair embeddings to ratings.
      config: Inner step size and steps.
      task, gradient_clip: As of `EpisodeModel`.

    Attributes:
      steps: Gradient steps on a support set outside training.
    """

    config_kind = MeluConfig

    def __init__(
        self,
        pair_embedding: FeaturePairEmbedding,
        network: InteractionMLP,
        config: MeluConfig,
        **kwargs: Any,
    ) -> None:
        super().__init__(pair_embedding, network, config, **kwargs)
        self.steps = config.steps

    def adapt(self, support: Support, training: bool = False) -> list[tf.Tensor]:
        """The network's weights for each task, in their order, [B, ...] each."""
        pairs = self.pair_embedding(support.user, support.item)  # [B, S, d]
        weights = per_task(self.network.trainable_variables, tf.shape(pairs)[0])
        return self._descend(
            lambda own: support_squared_error(self.network(pairs, own), support), weights, training
        )

    def _descend(self, loss: Any, weights: list[tf.Tensor], training: bool) -> list[tf.Tensor]:
        config = self.config
        steps = config.training_steps if training else self.steps
        return gradient_steps(loss, weights, config.inner_learning_rate, steps, config.second_order)
