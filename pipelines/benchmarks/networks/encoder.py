"""The sequential encoder's GRU for serving, beside `tf_keras.layers.GRU`."""

from functools import partial
from typing import Any

import tensorflow as tf

from benchmarks.timing import cpu_seconds
from cmml_tf.layers.encoders.gru import gru_last_state

STEPS, INPUTS, UNITS = 192, 258, 256


def measure(rounds: int) -> dict[str, Any]:
    """CPU milliseconds of one call at B = 1, 8, 32, and the ratio ours / Keras."""
    keras = tf.keras.layers.GRU(UNITS)
    keras.build((None, None, INPUTS))
    cell = keras.cell
    results = {}
    for tasks, calls in ((1, 20), (8, 8), (32, 3)):
        inputs = tf.random.stateless_normal([tasks, STEPS, INPUTS], [0, tasks])
        mask = tf.ones([tasks, STEPS], tf.bool)
        ours = tf.function(
            lambda inputs, mask: gru_last_state(
                inputs, mask, cell.kernel, cell.recurrent_kernel, cell.bias
            )
        )
        theirs = tf.function(lambda inputs: keras(inputs))
        seconds = cpu_seconds(
            {
                "ours": partial(ours, inputs, mask),
                "keras": partial(theirs, inputs),
            },
            rounds,
            calls,
        )
        results[f"B={tasks}"] = {
            "ours_ms": 1e3 * seconds["ours"],
            "keras_ms": 1e3 * seconds["keras"],
            "ratio": seconds["ours"] / seconds["keras"],
        }
    return {"S": STEPS, "inputs": INPUTS, "hidden": UNITS, **results}
