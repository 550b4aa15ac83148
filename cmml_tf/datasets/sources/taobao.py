"""Taobao's cloud theme click data (Tianchi 9716; Du et al., KDD 2019): themes are scenarios.

    theme_click_log         user_id,theme_id,item_id,leaf_cate_id,cate_level1_id,clk_cnt,reach_time
    theme_item_pool         theme_id,item_id
    user_item_purchase_log  user_id,item_id,<time>
    user_embedding          id,emb     128 numbers with spaces between, in one field
    item_embedding          id,emb

Files are recognised by name, with .csv, .txt or no suffix, and have a header or not. The click log
is needed, both embeddings come together, the rest may be missing.

A clicked pair is in its theme; a purchase is in none, so it only fits embeddings and keeps the item
from being a negative of its user. Items of a theme are those clicked in it and those of its pool.
Users and items are those that have an embedding, where there are embeddings: interactions of others
are left out and counted.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.interactions import EmbeddingTable, Interactions, without_catalogue
from cmml_tf.datasets.layouts import TAOBAO_CLICKS, taobao_file
from cmml_tf.datasets.reading.columns import Column
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.reading.own_table import time_column
from cmml_tf.datasets.reading.read_logs import Columns, as_series, read_groups
from cmml_tf.datasets.reading.text_file import TextFile, open_text
from cmml_tf.datasets.reading.times import Times, seconds_of
from cmml_tf.datasets.sources.text_embeddings import embedding_table, open_text_embeddings

_USER = Column("user", "id", ("user_id", "userId"))
_ITEM = Column("item", "id", ("item_id", "itemId"))
_THEME = Column("scenario", "id", ("theme_id", "theme", "scenario_id"))
_CLICKS = (
    _USER,
    _THEME,
    _ITEM,
    Column("leaf_category", "id", ("leaf_cate_id", "leaf_category_id"), needed=False),
    Column("category", "id", ("cate_level1_id", "category_id"), needed=False),
    Column("value", "float", ("clk_cnt", "click_count", "clicks"), needed=False),
)
_REACHED = Column("timestamp", "time", ("reach_time", "time"))
_BOUGHT = Column("timestamp", "time", ("time", "buy_time", "purchase_time"))
POOL, PURCHASES = "theme_item_pool", "user_item_purchase_log"
USER_EMBEDDINGS, ITEM_EMBEDDINGS = "user_embedding", "item_embedding"


def taobao_logs(folder: str | Path, times: Times = "loose") -> list[TextFile]:
    """The click log, and the purchases where there are any: columns user, item, ...

    Args:
      folder: Of the files.
      times: Whether times are read, and must be there.

    Raises:
      FileNotFoundError: There is no click log.
      ValueError: A file is empty or lacks a column.
    """
    clicks = taobao_file(folder, TAOBAO_CLICKS)
    if clicks is None:
        raise FileNotFoundError(
            f"{folder} has no file {TAOBAO_CLICKS}. Give the folder of the Taobao cloud theme "
            "click data."
        )
    logs = [open_text(clicks, (",",), (*_CLICKS, *time_column(_REACHED, times)))]
    purchases = taobao_file(folder, PURCHASES)
    if purchases is not None:
        columns = (_USER, _ITEM, *time_column(_BOUGHT, times))
        logs.append(open_text(purchases, (",",), columns))
    return logs


def taobao_embedding_files(folder: str | Path) -> tuple[Path, Path] | None:
    """The files of user and item embeddings, where they are.

    Raises:
      FileNotFoundError: One of the two is there without the other.
    """
    files = [taobao_file(folder, name) for name in (USER_EMBEDDINGS, ITEM_EMBEDDINGS)]
    if files == [None, None]:
        return None
    for name, file in zip((USER_EMBEDDINGS, ITEM_EMBEDDINGS), files, strict=True):
        if file is None:
            raise FileNotFoundError(
                f"{folder} has no file {name}, but the other embeddings. Give both or none."
            )
    return files[0], files[1]


def taobao_pool_log(folder: str | Path) -> TextFile | None:
    """The themes' item pools, columns scenario and item, where the folder has them.

    Raises:
      ValueError: The file is empty or lacks a column.
    """
    path = taobao_file(folder, POOL)
    return None if path is None else open_text(path, (",",), (_THEME, _ITEM))


def load_taobao(
    folder: str | Path, read: ReadConfig | None = None, times: Times = "loose"
) -> Interactions:
    """Reads the folder into memory.

    The table has columns user, item, value (clicks, 1 of a purchase), scenario (the theme, absent
    of a purchase) and, where the log has them, leaf_category and category.

    Args:
      folder: Of the five files.
      read: Block size, and how many malformed lines are left out (of each kind of file; by default
        none).
      times: Whether times are read, and must be there.

    Raises:
      FileNotFoundError: The click log is missing, or one of the embedding files.
      ValueError: A file is empty, lacks a column, or has too many malformed lines; the message has
        the line number.
    """
    read = ReadConfig() if read is None else read
    logs, pool_log, files = (
        taobao_logs(folder, times),
        taobao_pool_log(folder),
        taobao_embedding_files(folder),
    )
    pools = [] if pool_log is None else [pool_log]
    vectors = [] if files is None else list(map(open_text_embeddings, files, ("user", "item")))
    malformed = [MalformedLines(read) for _ in range(1 + len(vectors))]
    # All together: an id is of one kind in all files.
    groups = [[*logs, *pools], *([one] for one in vectors)]
    of_logs, *of_vectors = read_groups(groups, read, malformed)
    parts = [_frame(columns) for columns in of_logs[: len(logs)]]
    if any("timestamp" in log.kinds for log in logs):
        for part, log in zip(parts, logs, strict=True):
            if "timestamp" not in log.kinds:
                part["timestamp"] = np.nan
    pool = _table(of_logs[-1]) if pools else None
    counts = {"malformed lines, left out": malformed[0].count} if malformed[0].count else {}
    tables: list[EmbeddingTable | None] = [None, None]
    for place, (columns,) in enumerate(of_vectors):
        tables[place], left_out = embedding_table(files[place], columns, malformed[1 + place].count)
        counts |= left_out
    return Interactions(
        name=Path(folder).resolve().name,
        table=pd.concat(parts, ignore_index=True),
        catalogue=without_catalogue(),
        user_embeddings=tables[0],
        item_embeddings=tables[1],
        pool=pool,
        counts=counts,
    )


def _table(columns: Columns) -> pd.DataFrame:
    return pd.DataFrame({name: as_series(column) for name, column in columns.items()}, copy=False)


def _frame(columns: Columns) -> pd.DataFrame:
    frame = _table(columns)
    if "value" not in frame:
        frame["value"] = np.ones(len(frame))
    frame["timestamp"] = seconds_of(columns.get("timestamp"), len(frame))
    for name in ("scenario", "leaf_category", "category"):
        if name in frame:  # of a kind that can be absent, as in purchases
            whole = pd.api.types.is_integer_dtype(frame[name])
            frame[name] = frame[name].astype("Int64" if whole else object)
    return frame
