"""Training steps of CMML-FiLM, beside the same model with `tf_keras.layers.GRU`."""

from typing import Any

import tensorflow as tf

from benchmarks.made_up import SUPPORT, made_up_model, random_episode
from benchmarks.networks.keras_gru import KerasGruEncoder
from benchmarks.timing import cpu_seconds
from cmml_tf.config import ModelConfig
from cmml_tf.layers.encoders.context_encoder import SequentialContextEncoder
from cmml_tf.models.cmml import CMML
from cmml_tf.training.optimizer import AdamL2

QUERY, DIMENSION, ROWS = 256, 128, (3000, 3000)


def measure(rounds: int) -> dict[str, Any]:
    """Episodes per CPU second of a whole training step at B = 1, 8, 32, and the ratio."""
    results = {}
    for tasks, calls in ((1, 10), (8, 4), (32, 2)):
        episode = random_episode(tasks, QUERY, ROWS)
        steps = {}
        for name, encoder in (("ours", None), ("keras", KerasGruEncoder)):
            model = _model(encoder)
            step = tf.function(model.train_step)
            steps[name] = lambda step=step, episode=episode: step(episode)
        seconds = cpu_seconds(steps, rounds, calls)
        results[f"B={tasks}"] = {
            "ours_episodes_per_cpu_second": tasks / seconds["ours"],
            "keras_episodes_per_cpu_second": tasks / seconds["keras"],
            "ratio": seconds["keras"] / seconds["ours"],
        }
    return {"S": SUPPORT, "Q": QUERY, "embedding": DIMENSION, "hidden": 256, **results}


def _model(encoder: type[SequentialContextEncoder] | None) -> CMML:
    model = made_up_model(ModelConfig(), ROWS, DIMENSION)
    if encoder is not None:
        model.context_encoder = encoder(2 * DIMENSION, 256)
        model.context_encoder.build([None, None, 2 * DIMENSION + 2])
    model.compile(optimizer=AdamL2(1e-3))
    return model
