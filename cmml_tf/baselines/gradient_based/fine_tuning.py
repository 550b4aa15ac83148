"""DCN-F: the trained DCN, fine-tuned on each task's support set (the paper's table 2)."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import tensorflow as tf

from cmml_tf.baselines.dcn import DCN
from cmml_tf.baselines.gradient_based.support_loss import support_hinge
from cmml_tf.baselines.task_weights import per_task
from cmml_tf.config.baselines import DcnConfig, FineTuningConfig
from cmml_tf.layers.building import serialize
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.types import Support

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class FineTunedDCN(AdaptingModel):
    """Adapts by a few gradient steps on the support set; all tasks of a batch at once.

    Fine-tuning starts at the DCN's weights as they are at the call and leaves them alone. Every
    task has an optimiser of its own, so its result does not depend on the tasks beside it.

    Args:
      dcn: A trained `DCN`; it shares its weights with this model.
      config: Steps, step size, optimiser.
      support_loss: float32 [B, S] scores of support pairs and the `Support` to the loss [B].
    """

    def __init__(
        self,
        dcn: DCN,
        config: FineTuningConfig,
        support_loss: Callable[[tf.Tensor, Support], tf.Tensor] = support_hinge,
        **kwargs: Any,
    ) -> None:
        super().__init__(dcn.task, dcn.gradient_clip, **kwargs)
        self.dcn = dcn
        self.config = config
        self._support_loss = support_loss

    def build_parts(self) -> None:
        """Creates the DCN's weights."""
        self.dcn.build()

    @property
    def pair_embedding(self) -> tf.keras.layers.Layer:
        """The DCN's."""
        return self.dcn.pair_embedding

    def adapt(self, support: Support, training: bool = False) -> list[tf.Tensor]:
        """The network's weights for each task, in their order, [B, ...] each."""
        del training
        pairs = self.pair_embedding(support.user, support.item)  # [B, S, d]
        weights = per_task(self.dcn.network.trainable_variables, tf.shape(pairs)[0])
        zeros = [tf.zeros_like(weight) for weight in weights]

        def step(
            number: tf.Tensor, weights: list, mean: list, square: list
        ) -> tuple[tf.Tensor, list, list, list]:
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = tf.reduce_sum(self._support_loss(self.dcn.network(pairs, weights), support))
            gradients = tape.gradient(loss, weights)
            if self.config.optimizer == "sgd":
                return number + 1, self._moved(weights, gradients), mean, square
            mean = [_BETA_1 * m + (1 - _BETA_1) * g for m, g in zip(mean, gradients, strict=True)]
            square = [
                _BETA_2 * s + (1 - _BETA_2) * g**2 for s, g in zip(square, gradients, strict=True)
            ]
            time = tf.cast(number + 1, tf.float32)
            direction = [
                (m / (1 - _BETA_1**time)) / (tf.sqrt(s / (1 - _BETA_2**time)) + _EPSILON)
                for m, s in zip(mean, square, strict=True)
            ]
            return number + 1, self._moved(weights, direction), mean, square

        _, weights, _, _ = tf.while_loop(
            lambda number, *_: number < self.config.steps, step, (0, weights, zeros, zeros)
        )
        return weights

    def _moved(self, weights: list, direction: list) -> list[tf.Tensor]:
        rate = self.config.learning_rate
        return [weight - rate * d for weight, d in zip(weights, direction, strict=True)]

    def score_adapted(
        self, adapted: list[tf.Tensor], query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """Weights of each task and int [B, Q] rows -> score float32 [B, Q]."""
        return self.dcn.network(self.pair_embedding(query_user, query_item), adapted)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dcn": serialize(self.dcn),
            "config": asdict(self.config),
            "support_loss": serialize(self._support_loss),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Any:
        """A model with a DCN of its own, with first weights of its own."""
        network = DcnConfig(**config["config"]["network"])
        fine_tuning = FineTuningConfig(**{**config["config"], "network": network})
        return super().from_config({**config, "config": fine_tuning}, custom_objects)
