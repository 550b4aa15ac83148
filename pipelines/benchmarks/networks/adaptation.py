"""What adapting to a scenario costs: one request's context and scores, by preset."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.made_up import SUPPORT, made_up_model
from benchmarks.timing import cpu_seconds
from cmml_tf.experiments.forms import model_preset
from cmml_tf.models.cmml import CMML
from cmml_tf.serving.graph import network_variables
from cmml_tf.types import Support

PRESETS = (
    "cmml-film",
    "cmml-soft-m",
    "pe",
    "cmml-film-plus",
    "cmml-soft-m-plus",
    "cmml-attention",
    "cmml-attention-query",
    "cmml-film-ridge",
    "cmml-soft-m-ridge",
    "cmml-ridge",
)
QUERY, DIMENSION, USERS, ITEMS = 100, 64, 3000, 3000
REQUESTS = 16


def measure(rounds: int) -> dict[str, Any]:
    """CPU milliseconds at B = 1 for encoding and scoring, weights, and the share of the GRU's time.

    On one thread, and `REQUESTS` of one task each within one graph: neither waiting threads nor
    the call from Python is what a preset costs. Weights are those of the network, the embedding
    tables left out.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    label, length = tf.constant([[1.0] * 64 + [0.0] * 128]), tf.constant([SUPPORT])
    support_user, support_item = _ids(SUPPORT, USERS, 1), _ids(SUPPORT, ITEMS, 2)
    query_user, query_item = _ids(QUERY, USERS, 3), _ids(QUERY, ITEMS, 4)
    encode, score, weights = {}, {}, {}
    for name in PRESETS:
        model = made_up_model(model_preset(name), (USERS, ITEMS), DIMENSION)
        tables = {id(variable) for variable in model.pair_embedding.variables}
        network = [v for v in network_variables(model) if id(v) not in tables]
        weights[name] = int(sum(np.prod(variable.shape) for variable in network))

        def one_context(i: tf.Tensor, model: CMML = model) -> tf.Tensor:
            pairs = support_user[i : i + 1], support_item[i : i + 1]
            return model.encode_context(Support(*pairs, label, length))

        context = one_context(tf.constant(0))

        def one_scoring(i: tf.Tensor, model: CMML = model, c: tf.Tensor = context) -> tf.Tensor:
            return model.score_with_context(c, query_user[i : i + 1], query_item[i : i + 1])

        encode[name], score[name] = _one_by_one(one_context), _one_by_one(one_scoring)
    encoding, scoring = cpu_seconds(encode, rounds, 2), cpu_seconds(score, rounds, 4)
    gru = encoding["cmml-film"]
    presets = {
        name: {
            "encode_ms": 1e3 * encoding[name] / REQUESTS,
            "score_ms": 1e3 * scoring[name] / REQUESTS,
            "encode_share_of_gru": encoding[name] / gru,
            "weights": weights[name],
        }
        for name in PRESETS
    }
    return {"S": SUPPORT, "Q": QUERY, "B": 1, "embedding": DIMENSION, "presets": presets}


def _one_by_one(request: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[], tf.Tensor]:
    """`request(i)` for each i below `REQUESTS`, one after the other; the sum of what they give."""

    @tf.function
    def run() -> tf.Tensor:
        def step(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, total + tf.reduce_sum(request(i))

        return tf.while_loop(lambda i, _: i < REQUESTS, step, (0, 0.0), parallel_iterations=1)[1]

    return run


def _ids(width: int, rows: int, seed: int) -> tf.Tensor:
    return tf.random.stateless_uniform([REQUESTS, width], [seed, width], 0, rows, tf.int32)
