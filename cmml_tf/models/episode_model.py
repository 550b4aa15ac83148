"""What every model that learns from episodes has in common: loss, training step, reported loss."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from cmml_tf.layers.building import deserialized, serialize
from cmml_tf.layers.precision import require_float32
from cmml_tf.layers.step_noise import training_step
from cmml_tf.types import Episode, SampledEpisode

# To look for loops in the Python of all layers takes longer than to trace them.
_AS_IT_IS = tf.autograph.experimental.do_not_convert


class EpisodeModel(tfrs.Model):
    """Scores the query pairs of tasks; a subclass says how, in `call(episode, training)`.

    `compile` and `fit` work as for any Keras model, on a `tf.data.Dataset` of `Episode`s. The
    reported loss is the mean over all tasks seen, not the last batch's; beside it stands the norm
    of the step's gradients, all variables' as one vector (of a replica's share, where several
    divide a step). Steps are traced as they are written: in a layer of your own, what depends on a
    tensor's value is `tf.cond` or `tf.while_loop`, not `if` or `while`.

    A model is saved, copied and pickled as any Keras model. What is large, embedding tables and
    the values of features, are weights and in no configuration: `from_config` and `clone_model`
    give a model with first weights of its own, and zeros in these.

    Args:
      task: Scores to losses, for training; called as `task(scores, query_label)`, float32
        [B, Q] each -> [B].
      gradient_clip: Gradient values are clipped to [-c, c]; None: not clipped.

    Attributes:
      after_step: What else a training step does, behind the optimiser; None: nothing. Part of the
        step's graph, so set before the first one.
    """

    train_function: Any  # Keras' own, made at the first step
    not_for_xla: str | None = None
    """Why `compile(jit_compile=True)` is refused; None: it is not."""

    def __init__(
        self,
        task: tf.keras.layers.Layer | None = None,
        gradient_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.task = task
        self.gradient_clip = gradient_clip
        self.after_step: Callable[[], None] | None = None
        # A model may hold another, with a loss of its own.
        with tf.name_scope(self.name):
            self._loss_mean = tf.keras.metrics.Mean(name="loss")
            # Two means of one scope would have weights of one name, which no h5 file can hold.
            with tf.name_scope("gradient_norm"):
                self._norm_mean = tf.keras.metrics.Mean(name="gradient_norm")

    def build(self, input_shape: Any = None) -> None:
        """Creates every weight that does not exist yet.

        Raises:
          ValueError: The dtype policy, of Keras or of a part, is not float32.
        """
        del input_shape
        require_float32(self)
        self.build_parts()
        self.built = True

    def build_parts(self) -> None:
        """Creates the weights of the parts that have none; a subclass says how."""

    def decay_of(self, variable: tf.Variable) -> float:
        """What a training multiplies its weight decay with for one of the model's variables."""
        del variable
        return 1.0

    def compute_loss(self, episode: Episode | SampledEpisode, training: bool = False) -> tf.Tensor:
        """The mean loss over the tasks of a batch (equations 4 and 5).

        The task of a sampled query is told how often each item was expected in it.

        Raises:
          ValueError: The model was built without a task.
        """
        if self.task is None:
            raise ValueError("The model has no `task`: give one to train or evaluate its loss.")
        scores = self(episode, training=training)
        sampled = [episode.log_expected] if isinstance(episode, SampledEpisode) else []
        return tf.reduce_mean(self.task(scores, episode.query_label, *sampled))

    def make_train_function(self, force: bool = False) -> Any:
        """As Keras' own, but that several steps of one call are traced once and not twice.

        `compile` is left to Keras, which restores only a `compile` of its own.
        """
        # An older optimizer makes its counter when first asked; within a step, whose layers read
        # it, that would be too late for a strategy.
        if self.optimizer is not None:
            _ = self.optimizer.iterations
        steps = self._steps_per_execution
        one = steps is None or steps.numpy().item() == 1
        if (
            one
            or self.run_eagerly
            or self._cluster_coordinator
            or (self.train_function and not force)
        ):
            return super().make_train_function(force)
        self.train_tf_function = tf.function(self._several_steps, autograph=False)
        self.train_function = self.train_tf_function
        return self.train_function

    def _several_steps(self, iterator: Any) -> dict[str, tf.Tensor]:
        step = (
            tf.function(self.train_step, jit_compile=True) if self.jit_compile else self.train_step
        )

        def body(done: tf.Tensor) -> tf.Tensor:
            self.distribute_strategy.run(step, args=(next(iterator),))
            return done + 1

        steps = tf.convert_to_tensor(self._steps_per_execution)
        tf.while_loop(lambda done: done < steps, body, [tf.constant(0, steps.dtype)])
        self._train_counter.assign_add(steps)
        return {metric.name: metric.result() for metric in self.metrics}

    @_AS_IT_IS
    def train_step(self, episode: Episode) -> dict[str, tf.Tensor]:
        """One optimiser step on B tasks (algorithm 1), divided equally among the replicas."""
        self._check_xla()
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        variables = self.trainable_variables
        loss, gradients = self._loss_and_gradients(episode, variables, replicas)
        clip, summed = self.gradient_clip, replicas > 1
        if clip is not None:
            # As dense tensors: a table's gradient comes in pieces, and only the sum of these, and
            # of the replicas', is clipped.
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if summed:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        # Before anything is clipped: what a clip, or a learning rate, has to do with.
        norm = tf.linalg.global_norm(gradients)
        if clip is not None:
            gradients = [tf.clip_by_value(gradient, -clip, clip) for gradient in gradients]
        self.optimizer.apply_gradients(
            zip(gradients, variables, strict=True), experimental_aggregate_gradients=not summed
        )
        if self.after_step is not None:
            self.after_step()
        self._norm_mean.update_state(norm)
        return self._report(loss, episode) | {"gradient_norm": self._norm_mean.result()}

    def _loss_and_gradients(
        self, episode: Episode, variables: list[tf.Variable], replicas: int
    ) -> tuple[tf.Tensor, list[Any]]:
        """The loss, and what each variable's share of its gradient is in one of the replicas.

        What a tensor's gradient is made of is added two terms at a time. A sum of more begins with
        one whose memory nobody else is reading just then, so its last digit depends on how fast
        other operations were: trainings of one seed would differ.
        """

        def computed() -> tuple[tf.Tensor, list[Any]]:
            with training_step(self.optimizer.iterations):
                loss = self.compute_loss(episode, training=True)
                share = loss / replicas if replicas > 1 else loss
            in_pairs = tf.AggregationMethod.EXPERIMENTAL_TREE
            return loss, tf.gradients(share, variables, aggregation_method=in_pairs)

        return tf.function(computed, autograph=False)() if tf.executing_eagerly() else computed()

    @_AS_IT_IS
    def test_step(self, episode: Episode) -> dict[str, tf.Tensor]:
        """The loss of B tasks, without training."""
        self._check_xla()
        return self._report(self.compute_loss(episode, training=False), episode)

    @_AS_IT_IS
    def predict_step(self, episode: Episode) -> tf.Tensor:
        """Scores of the query pairs of B tasks, float32 [B, Q]; the query labels are not read."""
        self._check_xla()
        return self(episode, training=False)

    def _check_xla(self) -> None:
        if self.jit_compile and self.not_for_xla is not None:
            raise ValueError(
                f"`jit_compile` must be false for {type(self).__name__}: {self.not_for_xla}. "
                "Received: jit_compile=True."
            )

    def _report(self, loss: tf.Tensor, episode: Episode) -> dict[str, tf.Tensor]:
        self._loss_mean.update_state(loss, sample_weight=tf.shape(episode.query_user)[0])
        return {"loss": self._loss_mean.result()}

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """What Keras resets at each epoch."""
        return [self._loss_mean, self._norm_mean]

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "task": serialize(self.task),
            "gradient_clip": self.gradient_clip,
        }

    def get_build_config(self) -> None:
        """Nothing: `from_config` creates every weight."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Any:
        """A model of the same parts, with first weights of its own."""
        with tf.keras.utils.custom_object_scope(custom_objects or {}):
            model = cls(**deserialized(config))
        model.build()
        return model
