"""Features as at most 64 numbers a row, fitted on a catalogue without any interaction.

Each feature is a block of columns (see `blocks`), centred over the rows that have it and scaled to
variance 1, so that a title weighs no more than a price. The blocks side by side are projected onto
the directions in which the catalogue differs most (truncated SVD). Everything is linear in the
blocks: an unknown feature adds zero, an item of which nothing is known is the zero vector, and an
item that nobody has seen is encoded by the same tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cmml_tf.content.blocks import Block, learn_blocks
from cmml_tf.content.projection import principal_directions
from cmml_tf.types import ContentColumn

MOST_DIMENSIONS = 64
_MOST_ROWS = 50_000
_ROWS_AT_A_TIME = 20_000
_EXAMPLES = 100


@dataclass(frozen=True)
class ProjectedBlock:
    """A block with what it adds to a row's content.

    Attributes:
      feature: Name of the feature.
      block: Turns values into columns.
      table: float32 [width, c], what each column adds.
      centre: float32 [c], what is taken from a row that has the block.
    """

    feature: str
    block: Block
    table: np.ndarray
    centre: np.ndarray


@dataclass(frozen=True)
class ContentFeature:
    """A feature that an encoder takes.

    Attributes:
      name, kind: As of `ContentColumn`.
      width: Numbers of a `vector`, else 0.
      examples: Some of the values that it was fitted on.
    """

    name: str
    kind: str
    width: int
    examples: tuple


@dataclass(frozen=True)
class ContentEncoder:
    """A fitted encoder of the features of one side, users or items.

    Attributes:
      features: What it takes, in order; those too that turned out to say nothing.
      blocks: Theirs.
      dimension: c, at most 64; 0 where no feature says anything.
      share: Of the variance of the catalogue's blocks, what c numbers hold.
    """

    features: tuple[ContentFeature, ...]
    blocks: tuple[ProjectedBlock, ...]
    dimension: int
    share: float

    def encode(self, columns: Sequence[ContentColumn]) -> np.ndarray:
        """float32 [N, c]; over the rows it was fitted on, the root mean square of all numbers is 1.

        Args:
          columns: The features of N rows, by name; one that is missing is unknown in all rows.

        Raises:
          ValueError: A feature is none of the encoder's, or of another kind or width.
        """
        given = {column.name: column for column in columns}
        self._check(given)
        rows = len(columns[0].values) if columns else 0
        content = np.zeros((rows, self.dimension), np.float32)
        for begin in range(0, rows, _ROWS_AT_A_TIME):
            part = slice(begin, begin + _ROWS_AT_A_TIME)
            total = np.zeros_like(content[part], np.float64)
            for one in self.blocks:
                if one.feature in given:
                    found, known = one.block.columns(given[one.feature].values[part])
                    total += found @ one.table - known[:, None] * one.centre
            content[part] = total
        return content

    def _check(self, given: dict[str, ContentColumn]) -> None:
        known = {feature.name: feature for feature in self.features}
        for name, column in given.items():
            accepted = ", ".join(f"{one.name} ({one.kind})" for one in self.features)
            if name not in known or column.kind != known[name].kind:
                raise ValueError(
                    f"The features must be among those that the encoder was fitted on: {accepted}. "
                    f"Received: {name} ({column.kind})."
                )
            width = column.values.shape[1] if column.kind == "vector" else 0
            if width != known[name].width:
                raise ValueError(
                    f"The vectors of {name} must have {known[name].width} numbers, as those that "
                    f"the encoder was fitted on. Received: {width}."
                )


def fit_content(
    columns: Sequence[ContentColumn], most_dimensions: int = MOST_DIMENSIONS
) -> ContentEncoder:
    """Fits an encoder on a catalogue. Of more than 50,000 rows a fixed sample is read.

    Args:
      columns: The features of N rows, of different names.
      most_dimensions: c at the most.
    """
    features = tuple(map(_feature, columns))
    rows = len(columns[0].values) if columns else 0
    if rows > _MOST_ROWS:
        sample = np.sort(np.random.default_rng(0).choice(rows, _MOST_ROWS, replace=False))
        columns = [column._replace(values=column.values[sample]) for column in columns]
    names: list[str] = []
    blocks: list[Block] = []
    parts, present, means = [], [], []
    for column in columns:
        learned = learn_blocks(column)
        for block in learned:
            found, known = block.columns(column.values)
            mean = np.asarray(found.sum(axis=0)).ravel() / max(1, known.sum())
            variance = (found.multiply(found)).sum() / max(1, known.sum()) - np.sum(mean**2)
            if variance > 1e-9:
                scale = (variance * len(learned)) ** -0.5
                names.append(column.name)
                blocks.append(block)
                parts.append((found * scale, scale))
                means.append(mean * scale)
                present.append(known)
    if not blocks:
        return ContentEncoder(features, (), 0, 0.0)
    together = sparse.hstack([found for found, _ in parts], format="csr")
    known = np.stack(present, axis=1).astype(np.float64)
    bounds = np.cumsum([0, *(block.width for block in blocks)])
    apart = np.zeros((len(blocks), bounds[-1]))
    for place, mean in enumerate(means):
        apart[place, bounds[place] : bounds[place + 1]] = mean
    directions, share = principal_directions(together, known, apart, most_dimensions)
    encoded = together @ directions - known @ (apart @ directions)
    directions /= np.sqrt(np.mean(encoded**2))
    projected = []
    for place, (name, block) in enumerate(zip(names, blocks, strict=True)):
        own = directions[bounds[place] : bounds[place + 1]]
        table = (parts[place][1] * own).astype(np.float32)
        centre = (means[place] @ own).astype(np.float32)
        projected.append(ProjectedBlock(name, block, table, centre))
    return ContentEncoder(features, tuple(projected), directions.shape[1], share)


def _feature(column: ContentColumn) -> ContentFeature:
    if column.kind == "vector":
        known = column.values[~np.isnan(column.values).any(axis=1)][:1]
        examples = tuple(tuple(map(float, row)) for row in known)
        return ContentFeature(column.name, column.kind, column.values.shape[1], examples)
    if column.kind == "numeric":
        numbers = column.values[~np.isnan(column.values)][:1]
        return ContentFeature(column.name, column.kind, 0, tuple(map(float, numbers)))
    found = dict.fromkeys(value for value in column.values if value)
    return ContentFeature(column.name, column.kind, 0, tuple(found)[:_EXAMPLES])
