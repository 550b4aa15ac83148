"""Draws that depend on the seed and on what is drawn for, not on what else there is.

So a split is the same whether it is made in memory or in parts, in any order.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def scenario_generator(seed: int, name: str) -> np.random.Generator:
    """The source of a scenario's own draws, whatever other scenarios there are."""
    return np.random.default_rng([seed, _number(name)])


def order_of_names(seed: int, names: Sequence[str]) -> np.ndarray:
    """int64 [N]: the places of the names in an order that is drawn. Some of them have the same."""
    drawn = [hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in names]
    return np.array(sorted(range(len(names)), key=drawn.__getitem__), np.int64)


def order_of_ids(seed: int, ids: np.ndarray) -> np.ndarray:
    """int64 [N]: the places of ids in an order that is drawn. Some of them have the same.

    Args:
      seed: Fixes the order.
      ids: int64 or object of str [N].
    """
    hashed = pd.util.hash_array(ids, categorize=False)
    hashed = hashed ^ np.uint64(_number(f"users {seed}"))
    hashed = hashed + _ODD  # splitmix64 (Steele, Lea and Flood 2014) makes seeds independent
    for shift, factor in _MIX:
        hashed = (hashed ^ (hashed >> np.uint64(shift))) * np.uint64(factor)
    return np.argsort(hashed ^ (hashed >> np.uint64(31)), kind="stable")


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
