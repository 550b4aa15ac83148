"""The ids a served model knows: one text file a table, row r of the table on line r."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from cmml_tf.hashed_ids import hash_user_ids


@dataclass(frozen=True)
class Vocabulary:
    """Ids in the order of an embedding table's rows, checked.

    Attributes:
      lines: One id a line, as the file holds them.
      dtype: `tf.string` or `tf.int64`, the type of ids in requests.
      hashed: The lines are keyed hashes of the ids.
    """

    lines: tuple[str, ...]
    dtype: tf.DType
    hashed: bool = False

    def write(self, path: Path) -> None:
        """Writes the file, UTF-8, one id a line."""
        path.write_text("".join(f"{line}\n" for line in self.lines), encoding="utf-8", newline="\n")


def vocabulary(
    name: str,
    ids: Sequence[int] | Sequence[str] | np.ndarray,
    rows: int,
    key: bytes | None = None,
) -> Vocabulary:
    """Checks the ids of an embedding table.

    Args:
      name: How messages call the ids, `user_ids` or `item_ids`.
      ids: One id for each known row, all integers or all strings.
      rows: Known rows of the table.
      key: Where given, the vocabulary holds `hash_user_ids(ids, key)` instead of the ids.

    Raises:
      ValueError: The number of ids is not `rows`, ids repeat, are neither integers nor strings, do
        not fit int64, or are strings that cannot be a line of text (empty, or with a line break);
        the key is too short.
    """
    values = ids if isinstance(ids, np.ndarray) else np.asarray(ids, object)
    if values.ndim != 1 or len(values) != rows:
        raise ValueError(
            f"`{name}` must hold one id for each of the {rows} known rows. "
            f"Received: shape {values.shape}."
        )
    if values.dtype.kind in "iu" or all(
        isinstance(value, int | np.integer) and not isinstance(value, bool) for value in ids
    ):
        lines, dtype = tuple(str(int(value)) for value in ids), tf.int64
        limits = np.iinfo(np.int64)
        unfit = next((line for line in lines if not limits.min <= int(line) <= limits.max), None)
        accepted = "integers of at most 64 bits"
    elif all(isinstance(value, str) for value in ids):
        lines, dtype = tuple(str(value) for value in ids), tf.string
        # Carriage returns are dropped by TensorFlow's line reader, wherever they stand.
        unfit = next((line for line in lines if not line or set(line) & {"\n", "\r"}), None)
        accepted = "strings, not empty and without line breaks"
    else:
        raise ValueError(
            f"`{name}` must be all integers or all strings. Received: dtype {values.dtype}."
        )
    if unfit is not None:
        raise ValueError(f"`{name}` must hold {accepted}. Received: {unfit!r}.")
    if len(set(lines)) != len(lines):
        seen: set[str] = set()
        for line in lines:
            if line in seen:
                raise ValueError(
                    f"`{name}` must be different from each other. Received twice: {line}."
                )
            seen.add(line)
    if key is not None:
        return Vocabulary(tuple(hash_user_ids(lines, key)), tf.string, hashed=True)
    return Vocabulary(lines, dtype)


def lookup_table(path: Path, dtype: tf.DType, rows: int) -> tf.lookup.StaticHashTable:
    """Ids to rows; unknown ids to row `rows`, the table's zero row. `path` becomes an asset."""
    lines = tf.lookup.TextFileInitializer(
        str(path),
        key_dtype=dtype,
        key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
        value_dtype=tf.int64,
        value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
        vocab_size=rows,
    )
    return tf.lookup.StaticHashTable(lines, default_value=rows)
