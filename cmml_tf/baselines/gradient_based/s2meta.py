"""s2Meta: learned initial weights, learned updates and a learned end (Du et al., KDD 2019)."""

from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.baselines.gradient_based.inner_batch import InnerBatches
from cmml_tf.baselines.gradient_based.stop_controller import StopController
from cmml_tf.baselines.gradient_based.update_controller import (
    INPUTS,
    UpdateController,
    log_and_sign,
)
from cmml_tf.baselines.interaction_mlp import InteractionMLP
from cmml_tf.baselines.pair_network import PairNetwork
from cmml_tf.baselines.task_weights import per_task
from cmml_tf.config.baselines import S2MetaConfig
from cmml_tf.layers.building import build_named
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.types import Episode, Support

_GRADIENT_CLIP = 1.0


class _InnerState(NamedTuple):
    """The state of B inner loops.

    Attributes:
      weights: The network's weights of each task, [B, ...].
      hidden, cell: Of each weight tensor's update controller, [H, N].
      stop: State of the stop controller.
      active: bool [B], tasks that have not stopped.
      went_on: float32 [B], sum of log(1 - p) over the steps where a task could stop and did not.
      went_on_at: float32 [B], the same sum weighted with the query loss before each step.
    """

    weights: list[tf.Tensor]
    hidden: list[tf.Tensor]
    cell: list[tf.Tensor]
    stop: list[tf.Tensor]
    active: tf.Tensor
    went_on: tf.Tensor
    went_on_at: tf.Tensor


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class S2Meta(PairNetwork):
    """Adapts by inner steps whose rates and number are learned; all tasks of a batch at once.

    Each inner step: the hinge loss of an `InnerBatch` under the task's weights, its gradient, and
    for each weight w' = f w - i g, with gates i, f from the update controller and g clipped to
    [-1, 1]. The stop controller ends a task's loop with probability p after `min_steps` at the
    earliest.

    Training lowers the query loss behind the last step, and by REINFORCE makes going on more
    likely where the query loss fell from there to the end. As in the authors' code, gradients,
    weights and losses that the controllers read are constants to the outer gradient, and so is g
    (first order), unless `second_order`.

    Random draws depend on `config.seed`, in training on the optimiser's step too, and never on the
    tasks that are adapted together.

    Args:
      pair_embedding: Ids to pair embeddings e.
      config: Sizes, steps, seed.
      task, gradient_clip: As of `EpisodeModel`.
    """

    config_kind = S2MetaConfig
    saved_parts = ("pair_embedding",)
    not_for_xla = "XLA trains no loop whose number of steps is learned"

    def __init__(
        self, pair_embedding: PairEmbedding, config: S2MetaConfig, *args: Any, **kwargs: Any
    ) -> None:
        network = InteractionMLP(config.units, name="network")
        super().__init__(pair_embedding, network, config, *args, **kwargs)
        tensors = 2 * (len(config.units) + 1)  # kernels and biases
        self.update_controllers = [
            UpdateController(config.controller_units, name=f"update_controller_{tensor}")
            for tensor in range(tensors)
        ]
        self.stop_controller = StopController(config.stop_units, name="stop_controller")

    def build_parts(self) -> None:
        """Creates the weights of embedding, network and controllers."""
        super().build_parts()
        for controller in self.update_controllers:
            build_named(controller, [INPUTS, None])
        build_named(self.stop_controller, [None, len(self.update_controllers) + 1])

    def adapt(self, support: Support, training: bool = False) -> list[tf.Tensor]:
        """The network's weights for each task, in their order, [B, ...] each."""
        return self._inner_loop(support, None, training).weights

    def compute_loss(self, episode: Episode, training: bool = False) -> tf.Tensor:
        """The mean query loss of the adapted tasks; in training the stop controller's beside it.

        The stop controller's loss has the value 0: what is reported is the query loss.
        """
        if not training:
            return super().compute_loss(episode)
        end = self._inner_loop(episode.support, episode, training)
        losses = self._query_losses(episode, end.weights)
        final = tf.stop_gradient(losses)
        reinforce = tf.reduce_mean(final * end.went_on - end.went_on_at)
        return tf.reduce_mean(losses) + reinforce - tf.stop_gradient(reinforce)

    def _query_losses(self, episode: Episode, weights: list[tf.Tensor]) -> tf.Tensor:
        scores = self.score_adapted(weights, episode.query_user, episode.query_item)
        return self.task(scores, episode.query_label)

    def _inner_loop(self, support: Support, episode: Episode | None, training: bool) -> _InnerState:
        tasks = tf.shape(support.user)[0]
        batches = InnerBatches(support, self.config.batch_pairs)
        weights = per_task(self.network.trainable_variables, tasks)
        states = [
            controller.first_state(tf.size(weight))
            for controller, weight in zip(self.update_controllers, weights, strict=True)
        ]
        zeros = tf.zeros([tasks])
        start = _InnerState(
            weights,
            [hidden for hidden, _ in states],
            [cell for _, cell in states],
            self.stop_controller.first_state(tasks),
            batches.any,
            zeros,
            zeros,
        )
        key = self._key(training)

        def step(number: tf.Tensor, state: _InnerState) -> tuple[tf.Tensor, _InnerState]:
            step_key = tf.random.experimental.stateless_fold_in(key, number)
            return number + 1, self._step(batches, number, step_key, state, episode)

        _, end = tf.while_loop(
            lambda number, state: (number < self.config.max_steps) & tf.reduce_any(state.active),
            step,
            (tf.constant(0), start),
        )
        return end

    def _step(
        self,
        batches: InnerBatches,
        number: tf.Tensor,
        key: tf.Tensor,
        state: _InnerState,
        episode: Episode | None,
    ) -> _InnerState:
        loss, gradients = self._gradients(batches, key, state.weights)
        norms = [tf.norm(tf.reshape(g, [tf.shape(g)[0], -1]), axis=1) for g in gradients]
        inputs = tf.stop_gradient(tf.stack([loss, *norms], axis=1))  # [B, T]
        logit, stop = self.stop_controller(inputs, state.stop)
        drawn = tf.random.stateless_uniform([], tf.stack([key[0], key[1] + 1]))
        choice = number >= self.config.min_steps
        active = state.active & ~(choice & (drawn < tf.sigmoid(logit)))
        went_on, went_on_at = state.went_on, state.went_on_at
        if episode is not None:
            # log(1 - p), where the task went on though it could have stopped.
            log_on = tf.where(active & choice, -tf.nn.softplus(logit), 0.0)
            before = tf.stop_gradient(self._query_losses(episode, state.weights))
            went_on, went_on_at = went_on + log_on, went_on_at + log_on * before
        weights, hidden, cell = [], [], []
        for tensor, controller in enumerate(self.update_controllers):
            weight, state_of_tensor = _update(
                controller,
                state.weights[tensor],
                gradients[tensor],
                loss,
                (state.hidden[tensor], state.cell[tensor]),
            )
            keep = tf.reshape(active, [-1] + [1] * (len(weight.shape) - 1))
            weights.append(tf.where(keep, weight, state.weights[tensor]))
            hidden.append(state_of_tensor[0])
            cell.append(state_of_tensor[1])
        return _InnerState(weights, hidden, cell, stop, active, went_on, went_on_at)

    def _gradients(
        self, batches: InnerBatches, key: tf.Tensor, weights: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The inner loss of each task [B], and its gradients [B, ...]."""
        batch = batches.draw(key)
        pairs = self.pair_embedding(
            tf.concat([batch.user, batch.user], axis=1),
            tf.concat([batch.positive, batch.negative], axis=1),
        )  # [B, 2P, d]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            positive, negative = tf.split(self.network(pairs, weights), 2, axis=1)
            loss = tf.reduce_mean(tf.nn.relu(1.0 - positive + negative), axis=1)
            total = tf.reduce_sum(loss)
        gradients = tape.gradient(total, weights)
        gradients = [tf.clip_by_value(g, -_GRADIENT_CLIP, _GRADIENT_CLIP) for g in gradients]
        if not self.config.second_order:
            gradients = [tf.stop_gradient(gradient) for gradient in gradients]
        return loss, gradients

    def _key(self, training: bool) -> tf.Tensor:
        """int64 [2]: where this call's random numbers come from."""
        step = self.optimizer.iterations + 1 if training else tf.constant(0, tf.int64)
        return tf.stack([tf.constant(self.config.seed, tf.int64), step])


def _update(
    controller: UpdateController,
    weight: tf.Tensor,
    gradient: tf.Tensor,
    loss: tf.Tensor,
    state: tuple[tf.Tensor, tf.Tensor],
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """w' = f w - i g for a tensor [B, ...] of weights, and its controller's new state."""
    of_task = tf.ones_like(weight) * tf.reshape(loss, [-1] + [1] * (len(weight.shape) - 1))
    read = [*log_and_sign(gradient), *log_and_sign(weight), log_and_sign(of_task)[0]]
    inputs = tf.stop_gradient(tf.stack([tf.reshape(values, [-1]) for values in read]))
    gates, *state = controller(inputs, *state)
    rate, kept = tf.unstack(tf.reshape(gates, tf.concat([[2], tf.shape(weight)], axis=0)))
    return kept * weight - rate * gradient, tuple(state)
