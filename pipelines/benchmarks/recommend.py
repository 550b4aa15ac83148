"""`recommend` of exports, by preset and catalogue, beside retrieval that does not adapt."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from benchmarks.made_up import SUPPORT, fill_tables, support_by_id
from benchmarks.timing import cpu_seconds
from cmml_tf.config.data import FactorConfig
from cmml_tf.embeddings.popularity import STATISTICS
from cmml_tf.experiments.forms import model_preset
from cmml_tf.models.build import build_model
from cmml_tf.models.build_matching import build_matching
from cmml_tf.serving.catalogue.membership import Membership
from cmml_tf.serving.export import export_model

PRESETS = ("cmml-matching", "cmml-ridge", "cmml-film")
USERS, DIMENSION, TOP_K = 3000, 64, 20
ITEMS = {20_000: PRESETS, 200_000: PRESETS, 1_400_000: ("cmml-ridge",)}
_DIRECTIONS = 32
_CALLS = {20_000: 20, 200_000: 10, 1_400_000: 4}
_AT_ONCE = 8
"""Requests that ask for memory at the same time."""
_MEMORY = """
import ctypes, json, re, sys, threading
import numpy as np, tensorflow as tf

def status(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

def held():
    ctypes.CDLL(None).malloc_trim(0)  # what is free is not held
    return status("VmRSS")

def peak(requests):
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    threads = [threading.Thread(target=ask) for _ in range(requests)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return status("VmHWM")

def ask():
    for _ in range(3):
        signatures["recommend"](**values, user_id=user)

at_once = int(sys.argv[3])
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(at_once)
signatures = (model := tf.saved_model.load(sys.argv[1])).signatures
values = {name: tf.constant(value) for name, value in np.load(sys.argv[2]).items()}
user = values.pop("user_id")
query = {f"query_{side}_id": values[f"support_{side}_id"][:, :100] for side in ("user", "item")}
# What any request needs is there before.
for _ in range(3):
    signatures["serving_default"](**values, **query)
loaded = held()
first = peak(1) - loaded
ready = held()
added = (peak(at_once) - ready) / (at_once - 1)
print(json.dumps({"first_mib": first, "ready_mib": ready, "added_mib": added}))
"""


def measure(rounds: int) -> dict[str, Any]:
    """CPU milliseconds of one request of S = 192 and its ratio to retrieval of the same catalogue.

    Beside it stand, saved and loaded alike, a product of a user's factor with the item table and
    its `top_k`, and a TFRS two-tower with `BruteForce`. All on one thread.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    figures: dict[str, Any] = {"S": SUPPORT, "k": TOP_K, "dimension": DIMENSION}
    with tempfile.TemporaryDirectory() as name:
        for items, presets in ITEMS.items():
            figures[f"{items} items"] = _catalogue(Path(name), items, presets, rounds)
    return figures


def _catalogue(folder: Path, items: int, presets: tuple[str, ...], rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    users = rng.normal(0, 0.25, (USERS, DIMENSION)).astype(np.float32)
    table = rng.normal(0, 0.25, (items, DIMENSION)).astype(np.float32)
    values: dict[str, Any] = request_values(items)
    request = {name: tf.constant(value) for name, value in values.items()}
    np.savez(folder / "request.npz", **values)
    user = {"user_id": request["user_id"]}
    calls: dict[str, Callable[[], object]] = {}
    keep, memory = [], {}
    for name, module in (("product", Product(users, table)), ("two_tower", TwoTower(users, table))):
        saved = str(folder / f"{name}-{items}")
        tf.saved_model.save(module, saved, signatures=module.best)
        keep.append(tf.saved_model.load(saved))
        calls[name] = _asking(keep[-1].signatures["serving_default"], user)
        del module
    for preset in presets:
        version = export(preset, users, table, folder / f"{preset}-{items}")
        keep.append(tf.saved_model.load(str(version)))
        calls[preset] = _asking(keep[-1].signatures["recommend"], request)
        memory[preset] = _memory(version, folder / "request.npz")
    milliseconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, seconds in cpu_seconds(calls, 1, _CALLS[items]).items():
            milliseconds[name].append(1e3 * seconds)
    return {
        "score_vector_mib": 4 * items / 2**20,
        "cpu_ms": {name: statistics.median(values) for name, values in milliseconds.items()},
        "to_product": {name: _ratio(milliseconds, name, "product") for name in presets},
        "to_two_tower": {name: _ratio(milliseconds, name, "two_tower") for name in presets},
        "memory": memory,
    }


def _ratio(milliseconds: dict[str, list[float]], above: str, below: str) -> float:
    pairs = zip(milliseconds[above], milliseconds[below], strict=True)
    return statistics.median(a / b for a, b in pairs)


def _asking(signature: Any, inputs: dict[str, tf.Tensor]) -> Callable[[], object]:
    return lambda: signature(**inputs)


def export(preset: str, users: np.ndarray, table: np.ndarray, folder: Path) -> Path:
    """A version of a preset with random weights and these factors, of users and items 0, 1, ..."""
    tf.keras.utils.set_random_seed(0)
    config = model_preset(preset)
    membership = None
    if preset == "cmml-matching":
        factors = FactorConfig().dimension
        known = [np.ones([len(rows), 1], np.float32) for rows in (users, table)]
        statistics_of = np.zeros([len(table), STATISTICS], np.float32)
        model = build_matching(
            config,
            np.concatenate([4 * users[:, :factors], known[0]], axis=1),
            np.concatenate([4 * table[:, :factors], known[1], statistics_of], axis=1),
            factors,
        )
        # As many numbers as a run has, and about what one of movielens-small has learned.
        places = 4 * table[:, :_DIRECTIONS]
        membership = Membership(places, np.full(_DIRECTIONS, 1.5), np.array([-4.2, 0.4, -0.1]))
    else:
        model = build_model(config, len(users), len(table), DIMENSION, DIMENSION)
        fill_tables(model, users, table)
    ids = np.arange(len(users)), np.arange(len(table))
    return export_model(model, folder, *ids, top_k=TOP_K, membership=membership)


def request_values(items: int) -> dict[str, np.ndarray]:
    """A request of 192 support pairs, of which a third is positive."""
    return {**support_by_id(1, (USERS, items)), "user_id": np.array([7])}


def _memory(version: Path, request: Path) -> dict[str, float]:
    """What a process holds that has loaded the model, and what requests add at the peak, MiB.

    `first_mib` is of the first requests, which make ready what others find: a server has its own
    warm-up requests do it. Then the process holds `ready_mib`, room for one request in it, and
    `added_mib` is what each further one of several at once adds.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(version), str(request), str(_AT_ONCE)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


class Product(tf.Module):
    """The largest products of a user's factor with the item table, and nothing else."""

    def __init__(self, users: np.ndarray, items: np.ndarray) -> None:
        super().__init__()
        self.users = tf.Variable(users, trainable=False)
        self.items = tf.Variable(items, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="user_id")])
    def best(self, user_id: tf.Tensor) -> dict[str, tf.Tensor]:
        factor = tf.gather(tf.convert_to_tensor(self.users), user_id)
        scores = tf.matmul(factor, tf.convert_to_tensor(self.items), transpose_b=True)
        score, item = tf.math.top_k(scores, TOP_K)
        return {"score": score, "item_id": item}


class TwoTower(tf.Module):
    """A two-tower of TFRS that has learned its factors: an embedding, then `BruteForce`."""

    def __init__(self, users: np.ndarray, items: np.ndarray) -> None:
        super().__init__()
        tower = tf.keras.layers.Embedding(len(users), DIMENSION, weights=[users])
        self.index = tfrs.layers.factorized_top_k.BruteForce(tower, k=TOP_K)
        self.index.index(tf.constant(items), tf.range(len(items), dtype=tf.int64))
        self.index(tf.constant([0]))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="user_id")])
    def best(self, user_id: tf.Tensor) -> dict[str, tf.Tensor]:
        score, item = self.index(user_id)
        return {"score": score, "item_id": item}
