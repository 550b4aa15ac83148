"""CoNet: networks of a target and a source domain that read each other (Hu et al. 2018)."""

from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.baselines.pair_network import PairNetwork
from cmml_tf.baselines.task_weights import add_affine, affine
from cmml_tf.config.baselines import CoNetConfig
from cmml_tf.episodes.cross_domain import CrossDomainEpisode
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.layers.mlp import fan_in_uniform
from cmml_tf.types import Episode


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class CrossConnectedNetwork(tf.keras.layers.Layer):
    """A network for each domain; at each hidden layer both read each other's inputs.

    t' = ReLU(t W_t + b_t + s H) and s' = ReLU(s W_s + b_s + t H), with one transfer matrix H a
    layer for both directions; then linear to a score of each domain.

    Args:
      units: Widths of the hidden layers, the same in both networks.

    Example:

    >>> network = CrossConnectedNetwork([8, 4])
    >>> [score.shape.as_list() for score in network(tf.ones([2, 5, 6]), tf.ones([2, 5, 6]))]
    [[2, 5], [2, 5]]
    """

    def __init__(self, units: tuple[int, ...] = (64, 32, 16, 8), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = list(CoNetConfig(tuple(units)).units)  # says what is wrong with the sizes

    def build(self, input_shape: Any) -> None:
        width = int(input_shape[-1])
        self.target, self.source, self.transfer = [], [], []
        for number, units in enumerate(self.units, start=1):
            self.target.append(add_affine(self, f"target_{number}", width, units))
            self.source.append(add_affine(self, f"source_{number}", width, units))
            self.transfer.append(
                self.add_weight(
                    name=f"transfer_{number}", shape=[width, units], initializer=fan_in_uniform()
                )
            )
            width = units
        self.target_output = add_affine(self, "target_output", width, 1)
        self.source_output = add_affine(self, "source_output", width, 1)
        super().build(input_shape)

    def call(self, target: tf.Tensor, source: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Pair embeddings float32 [B, N, d] of both domains -> scores [B, N] of both."""
        for own, other, transfer in zip(self.target, self.source, self.transfer, strict=True):
            target, source = (
                tf.nn.relu(affine(target, *own) + tf.matmul(source, transfer)),
                tf.nn.relu(affine(source, *other) + tf.matmul(target, transfer)),
            )
        return (
            tf.squeeze(affine(target, *self.target_output), axis=-1),
            tf.squeeze(affine(source, *self.source_output), axis=-1),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class CoNet(PairNetwork):
    """CoNet over all meta-training scenarios; it knows a user from elsewhere and does not adapt.

    Trained on the tasks of `cross_domain_sampler`: hinge losses of both domains, and the sum of the
    transfer matrices' absolute values times `l1`. A query pair is scored beside one source item of
    its user (`set_source_items`); an unknown user's is the zero row.

    Args:
      pair_embedding: Ids to pair embeddings e, of either domain.
      config: Sizes and `l1`.
      task, gradient_clip: As of `EpisodeModel`.
    """

    config_kind = CoNetConfig
    saved_parts = ("pair_embedding",)

    def __init__(
        self, pair_embedding: PairEmbedding, config: CoNetConfig, *args: Any, **kwargs: Any
    ) -> None:
        network = CrossConnectedNetwork(config.units, name="network")
        super().__init__(pair_embedding, network, config, *args, **kwargs)
        self._source_item = tf.Variable(
            tf.fill([pair_embedding.users + 1], pair_embedding.items),
            trainable=False,
            name="source_item",
        )

    def set_source_items(self, items: np.ndarray) -> None:
        """Sets which source item stands for each user.

        Args:
          items: int32 [U + 1], item rows, as `source_item_of_users` draws them.

        Raises:
          ValueError: The shape is another one.
        """
        if items.shape != tuple(self._source_item.shape):
            raise ValueError(
                f"`items` must have the shape {tuple(self._source_item.shape)}. "
                f"Received: {items.shape}."
            )
        self._source_item.assign(items)

    def score_adapted(
        self, adapted: Any, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """() and int [B, Q] rows -> score float32 [B, Q]."""
        del adapted
        source_item = tf.gather(self._source_item, query_user)
        return self._scores(query_user, query_item, source_item)[0]

    def _scores(
        self, user: tf.Tensor, item: tf.Tensor, source_item: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return self.network(self.pair_embedding(user, item), self.pair_embedding(user, source_item))

    def compute_loss(
        self, episode: Episode | CrossDomainEpisode, training: bool = False
    ) -> tf.Tensor:
        """The mean loss over the tasks of a batch, of both domains in training.

        Raises:
          ValueError: Training without a source domain, or without a task.
        """
        if not training:
            return super().compute_loss(episode)
        if not isinstance(episode, CrossDomainEpisode):
            raise ValueError(
                "CoNet trains on `CrossDomainEpisode`s, from `cross_domain_sampler`. "
                f"Received: {type(episode).__name__}."
            )
        target, source = self._scores(episode.query_user, episode.query_item, episode.source_item)
        sparse = sum(tf.reduce_sum(tf.abs(matrix)) for matrix in self.network.transfer)
        losses = self.task(target, episode.query_label) + _source_loss(source, episode.source_order)
        return tf.reduce_mean(losses) + self.config.l1 * sparse


def _source_loss(scores: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Hinge loss [B] of source scores [B, Q] whose halves are compared as `order` [B, Q/2] says."""
    first, second = tf.split(scores, 2, axis=1)
    known = tf.abs(order)
    losses = tf.nn.relu(1.0 - order * (first - second)) * known
    return tf.math.divide_no_nan(tf.reduce_sum(losses, axis=1), tf.reduce_sum(known, axis=1))
