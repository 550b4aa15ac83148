"""Steps of a training as a `tf.data` pipeline, from a function of the step's number."""

from collections.abc import Callable

import tensorflow as tf

from cmml_tf.types import Episode


def sampled_steps(
    sample: Callable[[tf.Tensor], Episode], first_step: int | tf.Tensor
) -> tf.data.Dataset:
    """An endless dataset: what `sample` gives for each step (int64) from the first on."""
    steps = tf.data.Dataset.range(first_step, tf.int64.max)
    episodes = steps.map(sample, num_parallel_calls=1).prefetch(4)
    options = tf.data.Options()
    # The operations are many and small: spreading each over threads costs more than it saves.
    options.threading.max_intra_op_parallelism = 1
    return episodes.with_options(options)
