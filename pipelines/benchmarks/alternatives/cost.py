"""CPU time of a request, for ours and for what a user would pick instead."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from benchmarks.alternatives.implicit_als import ImplicitAls
from benchmarks.recommend import DIMENSION, TOP_K, USERS, TwoTower, export, request_values
from benchmarks.timing import cpu_seconds

CANDIDATES, BEST = "100 candidates", f"top {TOP_K}"
_QUERY = 100
_TAKEN = 20
"""Items that each user of the factorisation has taken."""
_CALLS = {3_000: 40, 20_000: 20, 200_000: 6}
CATALOGUES = tuple(_CALLS)

Calls = dict[str, Callable[[], object]]


def measure(presets: Sequence[str], rounds: int, folder: Path) -> dict[str, Any]:
    """Milliseconds of one request by catalogue, system and question, and ratios to the two-tower.

    A request has 192 support pairs, a third of them positive, and asks for the scores of 100
    candidates or for the best 20 items of the catalogue. `cached`: what is known of the support is
    held already: a context of ours, the folded items of `implicit`. `recommend` has no such form.

    Args:
      presets: Ours, with first weights: these cost what trained ones do.
      rounds: Rounds over all.
      folder: For the exports.
    """
    return {f"{items} items": _catalogue(presets, items, rounds, folder) for items in CATALOGUES}


def _catalogue(presets: Sequence[str], items: int, rounds: int, folder: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    users = rng.normal(0, 0.25, (USERS, DIMENSION)).astype(np.float32)
    table = rng.normal(0, 0.25, (items, DIMENSION)).astype(np.float32)
    values = request_values(items)
    candidates = rng.integers(0, items, _QUERY)
    questions: dict[str, Calls] = {CANDIDATES: {}, BEST: {}}
    for add in (_two_tower(users, table, folder), _implicit(users, table)):
        add(questions, values, candidates)
    for preset in presets:
        _ours(preset, export(preset, users, table, folder / f"{preset}-{items}"))(
            questions, values, candidates
        )
    return {
        question: _figures(cpu_seconds(calls, rounds, _CALLS[items]))
        for question, calls in questions.items()
    }


def _figures(seconds: Mapping[str, float]) -> dict[str, Any]:
    to_two_tower = {name: own / seconds["two_tower"] for name, own in seconds.items()}
    return {"cpu_ms": {name: 1e3 * own for name, own in seconds.items()}, "ratio": to_two_tower}


_Add = Callable[[dict[str, Calls], Mapping[str, np.ndarray], np.ndarray], None]


class _Towers(TwoTower):
    """The two-tower with scores of given items beside its best ones."""

    def __init__(self, users: np.ndarray, items: np.ndarray) -> None:
        super().__init__(users, items)
        self.users = tf.Variable(users, trainable=False)
        self.items = tf.Variable(items, trainable=False)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64, name="user_id"),
            tf.TensorSpec([None, None], tf.int64, name="item_id"),
        ]
    )
    def score(self, user_id: tf.Tensor, item_id: tf.Tensor) -> dict[str, tf.Tensor]:
        user = tf.gather(tf.convert_to_tensor(self.users), user_id)
        items = tf.gather(tf.convert_to_tensor(self.items), item_id)
        return {"score": tf.einsum("bd,bqd->bq", user, items)}


def _two_tower(users: np.ndarray, table: np.ndarray, folder: Path) -> _Add:
    module = _Towers(users, table)
    version = str(folder / f"two-tower-{len(table)}")
    tf.saved_model.save(module, version, signatures={"best": module.best, "score": module.score})
    loaded = tf.saved_model.load(version)

    def add(
        questions: dict[str, Calls], values: Mapping[str, np.ndarray], candidates: np.ndarray
    ) -> None:
        user, items = tf.constant(values["user_id"]), tf.constant(candidates[None])
        best, score = loaded.signatures["best"], loaded.signatures["score"]
        questions[BEST]["two_tower"] = lambda: best(user_id=user)
        questions[CANDIDATES]["two_tower"] = lambda: score(user_id=user, item_id=items)

    return add


def _implicit(users: np.ndarray, table: np.ndarray) -> _Add:
    rng = np.random.default_rng(2)
    pairs = np.repeat(np.arange(len(users)), _TAKEN), rng.integers(0, len(table), USERS * _TAKEN)
    taken = csr_matrix((np.ones(len(pairs[0]), np.float32), pairs), (len(users), len(table)))
    als = ImplicitAls.of_factors(users, table, taken)

    def add(
        questions: dict[str, Calls], values: Mapping[str, np.ndarray], candidates: np.ndarray
    ) -> None:
        positive = values["support_label"][0] > 0.5
        support = (values["support_user_id"][0][positive], values["support_item_id"][0][positive])
        user, folded = values["user_id"], als.fold_in(*support)
        best, scored = questions[BEST], questions[CANDIDATES]
        best["implicit_als"] = lambda: als.best(als.fold_in(*support), user[0], TOP_K)
        best["implicit_als, cached"] = lambda: als.best(folded, user[0], TOP_K)
        scored["implicit_als"] = lambda: als.score_pairs(als.fold_in(*support), user, candidates)
        scored["implicit_als, cached"] = lambda: als.score_pairs(folded, user, candidates)

    return add


def _ours(preset: str, version: Path) -> _Add:
    loaded = tf.saved_model.load(str(version))

    def add(
        questions: dict[str, Calls], values: Mapping[str, np.ndarray], candidates: np.ndarray
    ) -> None:
        asked = {name: tf.constant(value) for name, value in values.items()}
        user = asked.pop("user_id")
        query = {
            "query_user_id": tf.repeat(user[None], len(candidates), axis=1),
            "query_item_id": tf.constant(candidates[None]),
        }
        # A function keeps what it was loaded with by a weak reference only.
        signatures = {name: (loaded, one) for name, one in loaded.signatures.items()}

        def ask(name: str, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return signatures[name][1](**inputs)

        context = {"context": ask("encode_context", asked)["context"]}
        scored = questions[CANDIDATES]
        scored[preset] = lambda: ask("serving_default", asked | query)
        scored[f"{preset}, cached"] = lambda: ask("score_with_context", context | query)
        questions[BEST][preset] = lambda: ask("recommend", asked | {"user_id": user})

    return add
