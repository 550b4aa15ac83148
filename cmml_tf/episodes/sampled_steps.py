"""Steps of a training as a `tf.data` pipeline, from a function of the step's number."""

from collections.abc import Callable

import tensorflow as tf

from cmml_tf.types import Episode


def sampled_steps(
    sample: Callable[[tf.Tensor], Episode], first_step: int | tf.Tensor = 0
) -> tf.data.Dataset:
    """An endless dataset of training tasks: what `sample` gives for each step (int64).

    Args:
      sample: Gives the tasks of a step, as `EpisodeSampler.sample` does, in operations alone.
      first_step: Where to begin, so that a resumed training goes on with the same tasks without
        replaying those before.

    Raises:
      ValueError: `first_step` is a negative number.
    """
    if isinstance(first_step, int) and first_step < 0:
        raise ValueError(f"`first_step` must be zero or more. Received: first_step={first_step}.")
    steps = tf.data.Dataset.range(first_step, tf.int64.max)
    # To look for loops in Python takes longer than to trace.
    sample = tf.autograph.experimental.do_not_convert(sample)
    episodes = steps.map(sample, num_parallel_calls=1).prefetch(4)
    options = tf.data.Options()
    # The operations are many and small: spreading each over threads costs more than it saves.
    options.threading.max_intra_op_parallelism = 1
    return episodes.with_options(options)
