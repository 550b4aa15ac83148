"""Tasks that someone else has drawn, so that systems can be compared on the same ones."""

from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.config import ReadConfig
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.datasets.reading.columns import Column
from cmml_tf.datasets.reading.ids import as_text, rows_of
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.reading.own_table import ITEM, USER, VALUE, open_table
from cmml_tf.datasets.reading.read_logs import read_logs
from cmml_tf.datasets.sources.own_interactions import table_frame
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks, check_ratings
from cmml_tf.types import starts_of

# Ids as text: those of the data set are looked up by what they are written as.
_COLUMNS = (
    USER._replace(kind="str"),
    Column("part", "str"),
    ITEM._replace(kind="str", aliases=("movie", *ITEM.aliases)),
    VALUE._replace(needed=True),
    Column("role", "str"),
)
_ROLES = {"meta_train": {"pool"}, "meta_test": {"support", "query"}}


def read_task_file(
    path: Path, user_ids: np.ndarray, item_ids: np.ndarray, config: RatingDataConfig
) -> tuple[RatingTasks, RatingTasks]:
    """Reads a table with the columns user, part, movie (or item), rating (or value), role.

    Part `meta_train`: role `pool`, divided anew at each visit. Part `meta_test`: roles `support`
    and `query`, as many query ratings for each user as `config.query`. The order of a user's lines
    is kept.

    Args:
      path: The file.
      user_ids, item_ids: Ids of the data set, of which the file's must be some.
      config: Query size and scale.

    Returns:
      Tasks of the parts meta_train and meta_test.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is damaged, names unknown users or items or roles, or a user has too few
        ratings.
    """
    read = ReadConfig()
    opened = open_table(path, _COLUMNS, read)
    table = table_frame(read_logs(opened.logs, read, MalformedLines(read)))
    check_ratings(path.name, table, config)
    for part, roles in _ROLES.items():
        wrong = table[(table["part"] == part) & ~table["role"].isin(roles)]
        if len(wrong):
            raise ValueError(
                f"`role` of part {part} must be {' or '.join(sorted(roles))}. "
                f"Received: {wrong['role'].iloc[0]!r} in {path}."
            )
    unknown = table[~table["part"].isin(_ROLES)]
    if len(unknown):
        raise ValueError(
            f"`part` must be meta_train or meta_test. Received: {unknown['part'].iloc[0]!r} in "
            f"{path}."
        )
    rows = {}
    for kind, ids in (("user", user_ids), ("item", item_ids)):
        rows[kind] = rows_of(table[kind].to_numpy(object), as_text(ids))
        if (rows[kind] < 0).any():
            stranger = table[kind].iloc[int(np.argmax(rows[kind] < 0))]
            raise ValueError(f"The {kind} {stranger} of {path} is not in the data set.")
    table = table.assign(user=rows["user"], item=rows["item"])
    parts = [table[table["part"] == part] for part in _ROLES]
    shared = set(parts[0]["user"]) & set(parts[1]["user"])
    if shared:
        raise ValueError(
            f"A user must be in one part of {path} only. Received: {user_ids[min(shared)]} in both."
        )
    train, test = (_tasks(part, config, path, user_ids) for part in parts)
    return train, test


def _tasks(
    part: pd.DataFrame, config: RatingDataConfig, path: Path, user_ids: np.ndarray
) -> RatingTasks:
    if not len(part):
        raise ValueError(f"{path} must have lines of both parts, meta_train and meta_test.")
    asked = (part["role"] == "query").to_numpy()
    order = np.lexsort((asked, part["user"].to_numpy()))  # stable: support, then query
    users, counts = np.unique(part["user"], return_counts=True)
    least = config.query + 1
    if counts.min() < least:
        raise ValueError(
            f"A user must have at least {least} ratings (tasks.query is {config.query}). Received: "
            f"{counts.min()} of user {user_ids[users[np.argmin(counts)]]} in {path}."
        )
    if asked.any():
        queries = part.assign(asked=asked).groupby("user")["asked"].sum()
        wrong = queries[queries != config.query]
        if len(wrong):
            raise ValueError(
                f"Each meta-test user must have {config.query} lines of role query (tasks.query). "
                f"Received: {wrong.iloc[0]} of user {user_ids[wrong.index[0]]} in {path}."
            )
    if part.duplicated(["user", "item"]).any():
        twice = part[part.duplicated(["user", "item"])].iloc[0]
        raise ValueError(
            f"A user must rate an item once. Received: several of user {user_ids[twice['user']]} "
            f"in {path}."
        )
    return RatingTasks(
        users.astype(np.int32),
        starts_of(counts),
        part["item"].to_numpy(np.int32)[order],
        part["value"].to_numpy(np.float32)[order],
    )
