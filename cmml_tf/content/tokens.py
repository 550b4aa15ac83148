"""What a value consists of: the value itself, its words, its runs of characters; as 62-bit keys.

The counterpart inside a graph is `token_graph`; both are tested to give the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cmml_tf.content.characters import DROPPED, code_points, fold, string_keys

GRAMS = (3, 4)
"""Lengths of the runs of characters; the beginning and end of a word count as characters."""


class Tokens(NamedTuple):
    """Tokens of N values.

    Attributes:
      key: int64 [m].
      of_row: int64 [m], which value each token is of.
    """

    key: np.ndarray
    of_row: np.ndarray


def whole_values(values: Sequence[str]) -> Tokens:
    """Each value as one token; none of an empty one."""
    present = np.flatnonzero([value != "" for value in values])
    flat, of_string = code_points([values[row] for row in present])
    return Tokens(string_keys(flat, of_string, len(present)), present)


def members(values: Sequence[Sequence[str]]) -> Tokens:
    """Each member of each list as one token."""
    of_row = np.repeat(np.arange(len(values)), [len(value) for value in values])
    found = whole_values([member for value in values for member in value])
    return Tokens(found.key, of_row[found.of_row])


def words(texts: Sequence[str]) -> Tokens:
    """The words of each text: letters and digits without case and accents."""
    letter, of_row = _padded_letters(texts)
    starts = np.flatnonzero((letter > 0) & (np.roll(letter, 1) == 0))
    of_word = np.cumsum((letter > 0) & (np.roll(letter, 1) == 0)) - 1
    inside = letter > 0
    return Tokens(string_keys(letter[inside], of_word[inside], len(starts)), of_row[starts])


def grams(texts: Sequence[str]) -> Tokens:
    """Runs of 3 and of 4 characters within a word and its two ends."""
    letter, of_row = _padded_letters(texts)
    keys, rows = [], []
    for length in GRAMS:
        first = np.arange(max(0, len(letter) - length + 1))
        run = letter[first[:, None] + np.arange(length)]  # [m, length]
        fits = (run[:, 1:-1] > 0).all(axis=1) & (of_row[first] == of_row[first + length - 1])
        run, first = run[fits], first[fits]
        of_run = np.repeat(np.arange(len(run)), length)
        keys.append(string_keys(run.reshape(-1), of_run, len(run)))
        rows.append(of_row[first])
    return Tokens(np.concatenate(keys), np.concatenate(rows))


def _padded_letters(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Letters of all texts, 0 between words and at both ends of a text, and whose each is."""
    flat, of_row = code_points(texts)
    letter = fold(flat)
    letter, of_row = letter[letter != DROPPED], of_row[letter != DROPPED]
    ends = np.arange(len(texts))
    letter = np.concatenate([np.zeros(len(texts), np.int64), letter, np.zeros_like(ends)])
    of_row = np.concatenate([ends, of_row, ends])
    order = np.argsort(of_row, kind="stable")
    return letter[order], of_row[order]
