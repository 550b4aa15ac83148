"""Characters and strings as numbers: which are letters, and what they are counted as.

Everything is integer arithmetic below 2^63, so that NumPy and a TensorFlow graph give the same.
"""

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np

MOST_CHARACTERS = 1000
"""Characters of a value that count; what lies behind them is not read."""
PRIME = 2**31 - 1
BASES = (1_000_003, 998_244_353)
"""A string c_0 c_1 ... is sum_j (c_j + 1) base^j modulo the prime, once for each base: 62 bits."""
DROPPED = -1

# Scripts with two cases, and the marks and punctuation that most languages share, end here.
_FOLDED = 0x3040
_ACCENTED = 0x0590


def powers(length: int) -> np.ndarray:
    """int64 [2, length]: base^j modulo the prime."""
    table = np.ones([len(BASES), length], np.int64)
    for j in range(1, length):
        table[:, j] = table[:, j - 1] * np.array(BASES) % PRIME
    return table


@functools.cache
def folded_letters() -> np.ndarray:
    """int32 [12352]: what each of the first code points is counted as.

    A letter, digit or mark is the lower-case letter without its accent (Latin, Greek, Cyrillic),
    everything else 0, which parts words; an accent that stands alone is `DROPPED`. All code points
    behind the table are letters as they are.
    """
    table = np.zeros(_FOLDED, np.int32)
    for code in range(_FOLDED):
        table[code] = _folded(code)
    return table


def fold(codes: np.ndarray) -> np.ndarray:
    """int64 [m] code points -> what they are counted as."""
    table = folded_letters()
    inside = table[np.minimum(codes, len(table) - 1)]
    return np.where(codes < len(table), inside, codes).astype(np.int64)


def code_points(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code points of all texts one behind the other, int64 [m], and which text each is of [m]."""
    cut = [text[:MOST_CHARACTERS] for text in texts]
    flat = np.frombuffer("".join(cut).encode("utf-32-le", "replace"), np.uint32).astype(np.int64)
    return flat, np.repeat(np.arange(len(cut)), [len(text) for text in cut])


def string_keys(codes: np.ndarray, of_string: np.ndarray, strings: int) -> np.ndarray:
    """62 bits for each string.

    Args:
      codes: int64 [m], characters of all strings one behind the other.
      of_string: int [m], which string each is of, ascending.
      strings: How many there are.

    Returns:
      int64 [strings].
    """
    first = np.searchsorted(of_string, np.arange(strings))
    place = np.arange(len(codes)) - first[of_string]
    table = powers(MOST_CHARACTERS + 2)
    halves = []
    for base in range(len(BASES)):
        total = np.zeros(strings, np.int64)
        np.add.at(total, of_string, (codes + 1) * table[base, place])
        halves.append(total % PRIME)
    return halves[0] * 2**31 + halves[1]


def _folded(code: int) -> int:
    character = chr(code)
    if unicodedata.combining(character) and code < 0x0370:
        return DROPPED
    if not (character.isalnum() or unicodedata.category(character).startswith("M")):
        return 0
    lower = character.lower()
    return ord(unicodedata.normalize("NFKD", lower)[0] if code < _ACCENTED else lower[0])
