"""The CMML recommender: context encoder -> hybrid context -> modulation -> backbone."""

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from cmml_tf.layers.backbone import Backbone
from cmml_tf.layers.context_encoder import binary_label_features
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.layers.hybrid_context import HybridContext
from cmml_tf.types import Episode, Support


class CMML(tfrs.Model):
    """Scores query pairs of a task after reading its support set, in one forward pass (section 3).

    Args:
      pair_embedding: Ids to pair embeddings e (section 3.1).
      context_encoder: Labelled support pairs to the task context C (section 3.2); None for a model
        without context.
      hybrid_context: C and e to C_h (section 3.3).
      recommender: The backbone and what modulates it (section 3.4), called as (e, C_h).
      label_features: Support labels [B, S] to what is appended to e, [B, S, f]; None: one-hot
        [positive, negative].
      positives_only: The encoder reads positive support pairs only.
      stop_support_gradient: In training the encoder does not train the pair embedding (user
        setting).
      task: Scores to losses, for training; called as `task(scores, query_label)`, float32
        [B, Q] each -> [B].
      gradient_clip: Gradient values are clipped to [-c, c]; None: not clipped.

    `compile` and `fit` work as for any Keras model, on a `tf.data.Dataset` of `Episode`s. The
    reported loss is the mean over all tasks seen, not the last batch's.
    """

    def __init__(
        self,
        pair_embedding: PairEmbedding,
        context_encoder: tf.keras.layers.Layer | None,
        hybrid_context: HybridContext,
        recommender: Backbone | tf.keras.layers.Layer,
        label_features: tf.keras.layers.Layer | None = None,
        positives_only: bool = False,
        stop_support_gradient: bool = False,
        task: tf.keras.layers.Layer | None = None,
        gradient_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pair_embedding = pair_embedding
        self.context_encoder = context_encoder
        self.hybrid_context = hybrid_context
        self.recommender = recommender
        self.label_features = label_features
        self.positives_only = positives_only
        self.stop_support_gradient = stop_support_gradient
        self.task = task
        self.gradient_clip = gradient_clip
        self._loss_mean = tf.keras.metrics.Mean(name="loss")

    @property
    def context_dimension(self) -> int:
        """D; 1 for a model without context, whose context is a zero."""
        return 1 if self.context_encoder is None else self.context_encoder.context_dimension

    def encode_context(self, support: Support, training: bool = False) -> tf.Tensor:
        """The task context C of each task: float32 [B, D]."""
        pairs = self.pair_embedding(support.user, support.item)  # [B, S, d]
        return self.encode_pairs(pairs, support.label, support.length, training)

    def encode_pairs(
        self, pairs: tf.Tensor, label: tf.Tensor, length: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """The task context of support pairs [B, S, d] that are embedded already."""
        if self.context_encoder is None:
            return tf.zeros([tf.shape(length)[0], 1])
        valid = tf.sequence_mask(length, tf.shape(pairs)[1])  # [B, S]
        # What lies behind the length may hold anything, NaN too.
        label = tf.where(valid, label, 0.0)
        # An exported graph must not hold an operation that only training knows.
        if self.stop_support_gradient and training:
            pairs = tf.stop_gradient(pairs)
        label_features = self.label_features or binary_label_features
        pairs = tf.concat([pairs, label_features(label)], axis=-1)
        mask = valid & (label > 0.5) if self.positives_only else valid
        return self.context_encoder(pairs, mask=mask, training=training)

    def score_with_context(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """float32 [B, D], int [B, Q] rows -> score float32 [B, Q]."""
        return self.score_pairs(context, self.pair_embedding(query_user, query_item))

    def score_pairs(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
        """float32 [B, D], pairs [B, Q, d] that are embedded already -> score float32 [B, Q]."""
        return self.recommender(pairs, self.hybrid(context, pairs))

    def hybrid(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor | None:
        """C_h of each query pair, or None for a model without context."""
        return None if self.context_encoder is None else self.hybrid_context(context, pairs)

    def modulation(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What the context sets in the backbone for each query pair, by name and layer."""
        pairs = self.pair_embedding(query_user, query_item)
        return self.recommender.modulation(self.hybrid(context, pairs))

    def call(self, episode: Episode, training: bool = False) -> tf.Tensor:
        """Scores of the query pairs, float32 [B, Q]."""
        context = self.encode_context(episode.support, training)
        return self.score_with_context(context, episode.query_user, episode.query_item)

    def compute_loss(self, episode: Episode, training: bool = False) -> tf.Tensor:
        """The mean loss over the tasks of a batch (equations 4 and 5).

        Raises:
          ValueError: The model was built without a task.
        """
        if self.task is None:
            raise ValueError("The model has no `task`: give one to train or evaluate its loss.")
        scores = self(episode, training=training)
        return tf.reduce_mean(self.task(scores, episode.query_label))

    def train_step(self, episode: Episode) -> dict[str, tf.Tensor]:
        """One optimiser step on B tasks (algorithm 1)."""
        with tf.GradientTape() as tape:
            loss = self.compute_loss(episode, training=True)
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        if self.gradient_clip is not None:
            clip = self.gradient_clip
            # As dense tensors: a table's gradient comes in pieces, and only their sum is clipped.
            gradients = [
                tf.clip_by_value(tf.convert_to_tensor(gradient), -clip, clip)
                for gradient in gradients
            ]
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return self._report(loss, episode)

    def test_step(self, episode: Episode) -> dict[str, tf.Tensor]:
        """The loss of B tasks, without training."""
        return self._report(self.compute_loss(episode, training=False), episode)

    def _report(self, loss: tf.Tensor, episode: Episode) -> dict[str, tf.Tensor]:
        self._loss_mean.update_state(loss, sample_weight=tf.shape(episode.query_user)[0])
        return {"loss": self._loss_mean.result()}

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """What Keras resets at each epoch."""
        return [self._loss_mean]
