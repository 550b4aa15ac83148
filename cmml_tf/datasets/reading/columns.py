"""Which column of a file is what: names, aliases, and those that are given by name."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cmml_tf.config.data import COLUMNS_OF_LOGS


class Column(NamedTuple):
    """A column that is wanted of a log.

    Attributes:
      name: As the reader calls it.
      kind: `int`, `float`, `float32`, `str`, `loose` (an integer, or null where it is none), `id`:
        integers or text, as `ids` has it, or `value`: text, and of parquet lists of text or of
        numbers too; `time`: seconds since 1970, as `times` has it, or `loose-time`, null where it
        is none.
      aliases: Names that a header may give it beside its own, the published one first. Case, blanks
        and `_`, `-`, `.` do not count. Without a header the columns stand in the order in which
        they are asked for.
      needed: A file with a header may lack it otherwise.
      may_be_empty: An empty field is no fault; it is read as null.
      space: `id`: what it is an id of; columns of one space are of one kind. None: the name.
      named_in: The file of one's own that names it, where that is no table; for messages.
    """

    name: str
    kind: str
    aliases: tuple[str, ...] = ()
    needed: bool = True
    may_be_empty: bool = False
    space: str | None = None
    named_in: Path | None = None


def find_columns(
    path: Path, header: Sequence[str], columns: Sequence[Column], given: Mapping[str, str]
) -> dict[str, int]:
    """Name of each column that there is -> its place in the header.

    A name that fits exactly comes before one that fits but for case, blanks and punctuation, and
    that before an alias.

    Args:
      path: For messages.
      header: Names as the file has them.
      columns: What is wanted.
      given: Name of a column -> what the header calls it; wins over everything else.

    Raises:
      ValueError: A needed column is missing, or several fit one.
    """
    written = [name.strip() for name in header]
    positions: dict[str, int] = {}
    missing: list[Column] = []
    for column in columns:
        places = _places(written, column, given)
        if len(places) > 1:
            found = ", ".join(written[place] for place in places)
            raise ValueError(
                f"The file {path} must have one column for {column.name!r}. Received: {found}. "
                f"Rename one{_said([column], ', or say which it is')}."
            )
        if places:
            positions[column.name] = places[0]
        elif column.name in given or column.needed:
            missing.append(column)
    if missing:
        column = missing[0]
        published, *others = (*column.aliases, column.name)
        also = f" (or {', '.join(others)})" if others else ""
        if column.name in given:
            published, also = given[column.name], " (option columns)"
        names = ", ".join(one.name for one in missing)
        or_not = f", or take the name out of {column.named_in}" if column.named_in else ""
        own = " If others of a table of your own are meant, say which"
        advice = _said(missing, own) or f" Add such a column{or_not}"
        raise ValueError(
            f"The file {path} must have a column {published!r}{also} in its first line; missing: "
            f"{names}. Received: {', '.join(written)[:300]}.{advice}."
        )
    return positions


def folded(name: str) -> str:
    """A header name without what does not count: case, blanks, `_`, `-`, `.`."""
    return re.sub(r"[\s_.-]+", "", name).casefold()


def _said(columns: Sequence[Column], advice: str) -> str:
    """The advice with the option that says what a table calls these; empty where none does."""
    of_logs = [f"{one.name}=NAME" for one in columns if one.name in COLUMNS_OF_LOGS]
    return f"{advice} (--columns {','.join(of_logs)})" if of_logs else ""


def _places(written: Sequence[str], column: Column, given: Mapping[str, str]) -> list[int]:
    if column.name in given:
        ways = [lambda name: name == given[column.name], _fits([given[column.name]])]
    else:
        exact = column.name
        ways = [lambda name: name == exact, _fits([exact]), _fits(column.aliases)]
    for fits in ways:
        places = [place for place, name in enumerate(written) if fits(name)]
        if places:
            return places
    return []


def _fits(names: Sequence[str]):
    accepted = {folded(name) for name in names}
    return lambda name: folded(name) in accepted
