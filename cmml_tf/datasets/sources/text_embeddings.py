"""Embeddings as text: lines `id,emb`, the numbers of `emb` with spaces between, in one field."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cmml_tf.datasets.interactions import EmbeddingTable
from cmml_tf.datasets.reading.columns import Column
from cmml_tf.datasets.reading.ids import as_array, first_of_each
from cmml_tf.datasets.reading.read_logs import Columns
from cmml_tf.datasets.reading.text_file import TextFile, open_text

_ALIASES = ("user_id", "item_id", "userId", "itemId", "user", "item")
_VECTOR = Column("emb", "str", ("embedding", "embeddings", "vector"))
# Makes of a line as many fields as it has numbers.
_REPLACEMENTS = ((b",", b" "), (b'"', b""), (b" \r\n", b"\n"), (b" \n", b"\n"))


def open_text_embeddings(path: Path, side: str) -> TextFile:
    """A file of embeddings as a log of an `id` and as many numbers as its first line has.

    Args:
      path: The file.
      side: What the ids are of, `user` or `item`.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is empty, or its first line holds no embedding.
    """
    log = open_text(path, (",",), (Column("id", "id", _ALIASES, space=side), _VECTOR))
    with path.open("rb") as file:
        file.seek(log.start)
        line = file.readline().decode("utf-8", errors="replace").strip()
    numbers = line.rpartition(",")[2].strip('" ').split()
    try:
        finite = np.isfinite(np.array(numbers, np.float64)).all()
    except ValueError:
        finite = False
    if log.layout.width != 2 or not numbers or not finite:
        raise ValueError(
            f"The first line of {path} must hold an id, a comma, and numbers with spaces between. "
            f"Received: {line[:80]!r}."
        )
    kinds = {"id": "id", **{str(place): "float32" for place in range(len(numbers))}}
    layout = replace(
        log.layout,
        delimiter=b" ",
        width=len(kinds),
        positions={name: place for place, name in enumerate(kinds)},
        kinds=kinds,
        quotes=False,
        replacements=_REPLACEMENTS,
    )
    form = f"an id, a comma, and {len(numbers)} numbers with spaces between"
    return replace(log, form=form, layout=layout)


def embedding_block(columns: Columns) -> EmbeddingTable:
    """Ids [N] and matrix float32 [N, d] of lines that were read, in their order; empties it."""
    ids = as_array(columns.pop("id"))
    matrix = np.empty((len(ids), len(columns)), np.float32)
    for place in range(matrix.shape[1]):  # each column is let go when it has been copied
        matrix[:, place] = columns.pop(str(place)).to_numpy()
    return EmbeddingTable(ids, matrix)


def embedding_table(
    path: Path, columns: Columns, malformed: int
) -> tuple[EmbeddingTable, dict[str, int]]:
    """All embeddings of a file, sorted by id, and counts of what was left out.

    Where an id stands in several lines the first counts.

    Args:
      path: The file, for the counts.
      columns: What was read of it; emptied.
      malformed: Lines that were left out.
    """
    ids = as_array(columns.pop("id"))
    known, first = first_of_each(ids)
    matrix = np.empty((len(known), len(columns)), np.float32)
    for number in range(matrix.shape[1]):
        matrix[:, number] = columns.pop(str(number)).to_numpy()[first]
    counts = {
        f"malformed lines of {path.name}, left out": malformed,
        f"repeated ids of {path.name}, left out": len(ids) - len(known),
    }
    return EmbeddingTable(known, matrix), {name: count for name, count in counts.items() if count}
