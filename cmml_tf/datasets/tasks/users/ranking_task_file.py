"""Tasks of ranking that someone else has drawn, so that systems can be compared on the same."""

from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.reading.columns import Column
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.reading.own_table import ITEM, USER, open_table
from cmml_tf.datasets.reading.read_logs import read_logs
from cmml_tf.datasets.sources.own_interactions import table_frame

# Ids as text: those of the data set are looked up by what they are written as.
_COLUMNS = (
    Column("known", "str"),
    USER._replace(kind="str"),
    ITEM._replace(kind="str"),
    Column("role", "str"),
)


def read_ranking_task_file(path: Path) -> pd.DataFrame:
    """Reads a table with the columns known, user, item, role.

    `known` names a group of tasks, such as the size of their supports, an integer; -1 stands for
    80% of what a user has taken. Of each user a group has one task: items of role `support` are
    known, those of role `query` are asked.

    Returns:
      The same columns: known int64, user and item str, role.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is damaged, or a value is not accepted; the message names it.
    """
    read = ReadConfig()
    opened = open_table(path, _COLUMNS, read)
    table = table_frame(read_logs(opened.logs, read, MalformedLines(read)))
    wrong = ~table["role"].isin(["support", "query"])
    if wrong.any():
        raise ValueError(
            f"`role` must be support or query. Received: {table['role'][wrong].iloc[0]!r} in "
            f"{path}."
        )
    known = pd.to_numeric(table["known"], errors="coerce")
    wrong = ~(np.isfinite(known) & (known == np.floor(known)) & (known >= -1))
    if wrong.any():
        raise ValueError(
            "`known` must be a whole number, -1 for 80% of a user's items. "
            f"Received: {table['known'][wrong].iloc[0]!r} in {path}."
        )
    table = table.assign(known=known.astype(np.int64))[["known", "user", "item", "role"]]
    twice = table.duplicated(["known", "user", "item"])
    if twice.any():
        row = table[twice].iloc[0]
        raise ValueError(
            "An item must be in a task once. Received several times: item "
            f"{row['item']} of user {row['user']}, known {row['known']}, in {path}."
        )
    asked = table[table["role"] == "query"].groupby(["known", "user"]).size()
    tasks = table.groupby(["known", "user"]).size()
    if len(asked) < len(tasks):
        known_by, user = tasks.index.difference(asked.index)[0]
        raise ValueError(
            f"A task must have a line of role query. Received: none for user {user}, known "
            f"{known_by}, in {path}."
        )
    return table
