"""Embeddings as text: lines `id,emb`, the numbers of `emb` with spaces between, in one field."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.interactions import EmbeddingTable
from cmml_tf.datasets.log_file import Column, LogFile, open_log
from cmml_tf.datasets.log_reading import MalformedLines

_COLUMNS = (
    Column("id", "id", ("user_id", "item_id", "userId", "itemId", "user", "item")),
    Column("emb", "str", ("embedding", "embeddings", "vector")),
)
# Makes of a line as many fields as it has numbers.
_REPLACEMENTS = ((b",", b" "), (b'"', b""), (b" \r\n", b"\n"), (b" \n", b"\n"))


def open_text_embeddings(path: Path) -> LogFile:
    """A file of embeddings as a log of an `id` and as many numbers as its first line has.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is empty, or its first line holds no embedding.
    """
    log = open_log(path, ",", _COLUMNS)
    with path.open("rb") as file:
        file.seek(log.start)
        line = file.readline().decode("utf-8", errors="replace").strip()
    numbers = line.rpartition(",")[2].strip('" ').split()
    try:
        finite = np.isfinite(np.array(numbers, np.float64)).all()
    except ValueError:
        finite = False
    if log.width != 2 or not numbers or not finite:
        raise ValueError(
            f"The first line of {path} must hold an id, a comma, and numbers with spaces between. "
            f"Received: {line[:80]!r}."
        )
    kinds = {"id": log.kinds["id"], **{str(place): "float32" for place in range(len(numbers))}}
    return replace(
        log,
        form=f"an id, a comma, and {len(numbers)} numbers with spaces between",
        replacements=_REPLACEMENTS,
        delimiter=" ",
        width=len(kinds),
        positions={name: place for place, name in enumerate(kinds)},
        kinds=kinds,
    )


def embedding_block(columns: dict[str, np.ndarray]) -> EmbeddingTable:
    """Ids [N] and matrix float32 [N, d] of a block that was read; ids in the order of the lines."""
    ids = columns["id"]
    matrix = np.empty((len(ids), len(columns) - 1), np.float32)
    for place in range(matrix.shape[1]):
        matrix[:, place] = columns[str(place)]
    return EmbeddingTable(ids, matrix)


def load_text_embeddings(path: Path, read: ReadConfig) -> tuple[EmbeddingTable, dict[str, int]]:
    """All embeddings, sorted by id, and counts of what was left out.

    Where an id stands in several lines the first counts.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It holds no embedding, or more malformed lines than allowed.
    """
    log, malformed = open_text_embeddings(path), MalformedLines(read)
    ids, parts = [], []
    for block in log.blocks(read.block_bytes):
        columns, left_out = log.read(block)
        malformed.add(log, block, left_out)
        table = embedding_block(columns)
        ids.append(table.ids)
        parts.append(table.matrix)
    distinct, first = np.unique(np.concatenate(ids), return_index=True)
    matrix = np.empty((len(distinct), parts[0].shape[1]), np.float32)
    begin = 0
    while parts:  # each part is let go when it has been copied
        part = parts.pop(0)
        inside = (first >= begin) & (first < begin + len(part))
        matrix[inside] = part[first[inside] - begin]
        begin += len(part)
    counts = {
        f"malformed lines of {path.name}, left out": malformed.count,
        f"repeated ids of {path.name}, left out": begin - len(distinct),
    }
    return EmbeddingTable(distinct, matrix), {name: n for name, n in counts.items() if n}
