"""Taobao's cloud theme click data (Tianchi 9716; Du et al., KDD 2019): themes are scenarios.

    theme_click_log         user_id,theme_id,item_id,leaf_cate_id,cate_level1_id,clk_cnt,reach_time
    theme_item_pool         theme_id,item_id
    user_item_purchase_log  user_id,item_id,<time>
    user_embedding          id,emb     128 numbers with spaces between, in one field
    item_embedding          id,emb

Files are recognised by name, with .csv, .txt or no suffix, and have a header or not. The click log
is needed, both embeddings come together, the rest may be missing. Times are not read.

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
from cmml_tf.datasets.log_file import Column, LogFile, open_log
from cmml_tf.datasets.log_reading import MalformedLines, read_log
from cmml_tf.datasets.text_embeddings import load_text_embeddings

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
_SUFFIXES = ("", ".csv", ".txt")
CLICKS, POOL, PURCHASES = "theme_click_log", "theme_item_pool", "user_item_purchase_log"
USER_EMBEDDINGS, ITEM_EMBEDDINGS = "user_embedding", "item_embedding"


def is_taobao(folder: str | Path) -> bool:
    """Whether a folder has the layout, told by the click log."""
    return taobao_file(folder, CLICKS) is not None


def taobao_file(folder: str | Path, name: str) -> Path | None:
    """The file of a folder that has this name with one of the suffixes, if there is one."""
    paths = (Path(folder) / f"{name}{suffix}" for suffix in _SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def taobao_logs(folder: str | Path) -> list[LogFile]:
    """The click log, and the purchases where there are any: columns user, item, ...

    Raises:
      FileNotFoundError: There is no click log.
      ValueError: A file is empty or lacks a column.
    """
    clicks = taobao_file(folder, CLICKS)
    if clicks is None:
        raise FileNotFoundError(
            f"{folder} has no file {CLICKS}. Give the folder of the Taobao cloud theme click data."
        )
    logs = [open_log(clicks, ",", _CLICKS)]
    purchases = taobao_file(folder, PURCHASES)
    if purchases is not None:
        logs.append(open_log(purchases, ",", (_USER, _ITEM)))
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


def taobao_pool_log(folder: str | Path) -> LogFile | None:
    """The themes' item pools, columns scenario and item, where the folder has them.

    Raises:
      ValueError: The file is empty or lacks a column.
    """
    path = taobao_file(folder, POOL)
    return None if path is None else open_log(path, ",", (_THEME, _ITEM))


def load_taobao(folder: str | Path, read: ReadConfig | None = None) -> Interactions:
    """Reads the folder into memory.

    The table has columns user, item, value (clicks, 1 of a purchase), timestamp (0), scenario (the
    theme, absent of a purchase) and, where the log has them, leaf_category and category.

    Args:
      folder: Of the five files.
      read: Block size, and how many malformed lines are left out (of each kind of file; by default
        none).

    Raises:
      FileNotFoundError: The click log is missing, or one of the embedding files.
      ValueError: A file is empty, lacks a column, or has too many malformed lines; the message has
        the line number.
    """
    read = ReadConfig() if read is None else read
    logs = taobao_logs(folder)
    malformed = MalformedLines(read)
    parts = [_frame(log, list(read_log(log, read, malformed))) for log in logs]
    pool = None
    pool_log = taobao_pool_log(folder)
    if pool_log is not None:
        blocks = list(read_log(pool_log, read, malformed))
        names = ("scenario", "item")
        pool = pd.DataFrame({name: np.concatenate([b[name] for b in blocks]) for name in names})
    counts = {"malformed lines, left out": malformed.count} if malformed.count else {}
    tables: list[EmbeddingTable | None] = [None, None]
    files = taobao_embedding_files(folder)
    if files is not None:
        for place, file in enumerate(files):
            tables[place], left_out = load_text_embeddings(file, read)
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


def _frame(log: LogFile, blocks: list[dict[str, np.ndarray]]) -> pd.DataFrame:
    columns = {name: np.concatenate([block.pop(name) for block in blocks]) for name in log.kinds}
    rows = len(columns["user"])
    columns.setdefault("value", np.ones(rows))
    columns["timestamp"] = np.zeros(rows, np.int64)
    frame = pd.DataFrame(columns, copy=False)
    for name in ("scenario", "leaf_category", "category"):
        if name in frame:  # of a kind that can be absent, as in purchases
            whole = pd.api.types.is_integer_dtype(frame[name])
            frame[name] = frame[name].astype("Int64" if whole else object)
    return frame
