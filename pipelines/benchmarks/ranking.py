"""`recommend` of the ranking setting: 20 items are known, the 20 best of a catalogue are asked.

Five of the known ones are in no table, so others are read in their place.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from benchmarks.recommend import Product
from benchmarks.timing import cpu_seconds
from cmml_tf.config.ranking import RankingModelConfig
from cmml_tf.embeddings.item_tables import log_popularity
from cmml_tf.embeddings.stand_ins import STAND_INS
from cmml_tf.models.build_ranking import Tables, build_ranking_model
from cmml_tf.serving.export import export_model

KNOWN, BEYOND, TOP_K, DIMENSION = 20, 5, 20, 64
_CALLS = {20_000: 50, 1_000_000: 5}


def measure(rounds: int) -> dict[str, Any]:
    """CPU milliseconds of a request on one thread, its weights and tables random.

    Beside it `implicit` solves for the same known items anew and ranks the same catalogue; and a
    bare product of a factor with as many, with its `top_k`, is saved and loaded alike.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        return {f"{items} items": _of(items, Path(folder), rounds) for items in _CALLS}


def _of(items: int, folder: Path, rounds: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    config = RankingModelConfig()
    M = config.table_items
    inside = rng.choice(M, KNOWN - BEYOND, replace=False)
    known = np.append(inside, M + rng.choice(items - M, BEYOND, replace=False))[None]
    loaded = tf.saved_model.load(str(_export(config, items, rng, folder / f"ranking-{items}")))
    request = {
        "support_user_id": tf.zeros([1, KNOWN], tf.int64),
        "support_item_id": tf.constant(known, tf.int64),
        "support_label": tf.ones([1, KNOWN]),
        "support_length": tf.constant([KNOWN]),
        "user_id": tf.zeros([1], tf.int64),
    }
    factors = rng.normal(0, 0.1, (items, DIMENSION)).astype(np.float32)
    product = Product(factors[:1], factors)
    tf.saved_model.save(product, str(folder / f"product-{items}"), signatures=product.best)
    bare = tf.saved_model.load(str(folder / f"product-{items}"))
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: loaded.signatures["recommend"](**request),
        "implicit": _fold_in(factors, known[0]),
        "product": lambda: bare.signatures["serving_default"](user_id=request["user_id"]),
    }
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, seconds in cpu_seconds(calls, 1, _CALLS[items]).items():
            found[name].append(1e3 * seconds)
    return {name: statistics.median(values) for name, values in found.items()}


def _export(config: RankingModelConfig, items: int, rng: np.random.Generator, folder: Path) -> Path:
    M, K = config.table_items, config.tables
    rows = tf.Variable(rng.normal(0, 0.05, (M, K * M)).astype(np.float32), trainable=False)
    model = build_ranking_model(config, Tables(1, items, M, stand_ins=STAND_INS, rows=rows))
    times = (200_000 * (np.arange(items) + 10.0) ** -1.1).astype(int)
    model.pair_embedding.set_popularity(0, log_popularity(np.append(times, 0))[:-1])
    shape = [items - M, STAND_INS]
    share = np.full(shape, 1 / STAND_INS, np.float32)
    model.pair_embedding.set_stand_ins(0, rng.integers(M, size=shape), share)
    for weight in model.trainable_variables:  # of zeros a graph computes nothing
        weight.assign(rng.normal(0, 0.1, weight.shape))
    return export_model(model, folder, np.arange(1), np.arange(items), top_k=TOP_K)


def _fold_in(factors: np.ndarray, known: np.ndarray) -> Callable[[], object]:
    als = AlternatingLeastSquares(factors=DIMENSION, num_threads=1)
    als.item_factors, als.user_factors = factors, factors[:1]
    taken = csr_matrix(
        (np.ones(len(known), np.float32), (np.zeros(len(known), int), known)), (1, len(factors))
    )
    return lambda: als.recommend(0, taken, N=TOP_K, recalculate_user=True)
