"""What adapting to a scenario costs: one request's context and scores, by preset."""

from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.timing import cpu_seconds
from cmml_tf.models.build import build_model
from cmml_tf.models.presets import MODEL_PRESETS
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
SUPPORT, QUERY, DIMENSION, USERS, ITEMS = 192, 100, 64, 3000, 3000


def measure(rounds: int) -> dict[str, Any]:
    """CPU milliseconds at B = 1 for encoding and scoring, weights, and the share of the GRU's time.

    Weights are those of the network, the embedding tables left out.
    """
    ids, labels = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None])
    specs = Support(ids, ids, labels, tf.TensorSpec([None], tf.int32))
    support = Support(
        _ids(SUPPORT, USERS),
        _ids(SUPPORT, ITEMS),
        tf.constant([[1.0] * 64 + [0.0] * 128]),
        tf.constant([SUPPORT]),
    )
    query_user, query_item = _ids(QUERY, USERS), _ids(QUERY, ITEMS)
    encode, score, weights = {}, {}, {}
    for name in PRESETS:
        model = build_model(MODEL_PRESETS[name], USERS, ITEMS, DIMENSION, DIMENSION)
        rng = np.random.default_rng(0)
        tables = (rng.normal(0, 0.25, (rows, DIMENSION)) for rows in (USERS, ITEMS))
        model.pair_embedding.set_tables(*tables)
        tables = {id(variable) for variable in model.pair_embedding.variables}
        network = [v for v in network_variables(model) if id(v) not in tables]
        weights[name] = int(sum(np.prod(variable.shape) for variable in network))
        encoded = tf.function(model.encode_context, input_signature=[specs])
        context = encoded(support)
        scored = tf.function(
            model.score_with_context,
            input_signature=[tf.TensorSpec([None, model.context_dimension]), ids, ids],
        )
        encode[name] = lambda encoded=encoded: encoded(support)
        score[name] = lambda scored=scored, context=context: scored(context, query_user, query_item)
    encoding, scoring = cpu_seconds(encode, rounds, 20), cpu_seconds(score, rounds, 40)
    gru = encoding["cmml-film"]
    presets = {
        name: {
            "encode_ms": 1e3 * encoding[name],
            "score_ms": 1e3 * scoring[name],
            "encode_share_of_gru": encoding[name] / gru,
            "weights": weights[name],
        }
        for name in PRESETS
    }
    return {"S": SUPPORT, "Q": QUERY, "B": 1, "embedding": DIMENSION, "presets": presets}


def _ids(width: int, rows: int) -> tf.Tensor:
    return tf.random.stateless_uniform([1, width], [2, width], 0, rows, tf.int32)
