"""Item-item tables in a file: together they may be larger than the memory of a machine."""

import errno
import os
import tempfile
import threading
import weakref

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.embeddings.stand_ins import StandIns

_ROWS_AT_A_TIME = 256


class TableFile:
    """K tables of M items, float32 [M, K, W], row i of all tables in one piece.

    They lie in a file that nobody else sees and that is gone with this object. Nothing of it is
    held in memory.

    Args:
      items: M.
      tables: K.
      width: W, numbers of a row of one table.
    """

    def __init__(self, items: int, tables: int, width: int) -> None:
        self.shape = items, tables, width
        # Unbuffered: what the disk refuses is said by `write`, not by nobody when the file closes.
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as this is
        weakref.finalize(self, self._file.close)
        self._file.truncate(4 * items * tables * width)
        self._lock = threading.Lock()

    def write(self, table: int, values: np.ndarray) -> None:
        """Fills a table, float32 [M, W].

        Raises:
          OSError: The disk is full.
        """
        _, tables, width = self.shape
        for item, row in enumerate(np.ascontiguousarray(values, np.float32)):
            with self._lock:
                self._file.seek(4 * width * (item * tables + table))
                if self._file.write(row) != row.nbytes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), tempfile.gettempdir())

    def read(self, item: np.ndarray | None = None) -> np.ndarray:
        """The rows of these items, int [N], or of all: float32 [N, K, W]."""
        items, tables, width = self.shape
        places = range(items) if item is None else item.tolist()
        rows = np.empty([len(places), tables, width], np.float32)
        for row, place in zip(rows, places, strict=True):
            with self._lock:
                self._file.seek(row.nbytes * place)
                self._file.readinto(row)
        return rows

    def sums(
        self, item: np.ndarray, task: np.ndarray, tasks: int, share: np.ndarray | None = None
    ) -> np.ndarray:
        """The rows of each task's items, added up.

        Args:
          item: int [N].
          task: int [N], whose item it is, below `tasks`.
          tasks: B.
          share: float32 [N], how much of each row; None: all.

        Returns:
          float32 [B, K W].
        """
        found = np.zeros([tasks, self.shape[1] * self.shape[2]], np.float32)
        share = np.ones(len(item), np.float32) if share is None else share
        # What several tasks know is read once.
        distinct, place = np.unique(item, return_inverse=True)
        for first in range(0, len(distinct), _ROWS_AT_A_TIME):
            rows = self.read(distinct[first : first + _ROWS_AT_A_TIME])
            inside = (place >= first) & (place < first + len(rows))
            pairs = task[inside], place[inside] - first
            found += csr_matrix((share[inside], pairs), shape=(tasks, len(rows))) @ rows.reshape(
                len(rows), -1
            )
        return found


class FoldTables:
    """Files of tables fitted without the users of a fold each; a task reads those of its fold.

    Args:
      files: F, of one shape.
      stand_ins: Of each fold, what items in no table are read as; None: they are not read.
    """

    def __init__(self, files: list[TableFile], stand_ins: list[StandIns] | None = None) -> None:
        self._files = files
        self._stand_ins = stand_ins

    def sums(self, item: np.ndarray, task: np.ndarray, fold: np.ndarray) -> np.ndarray:
        """The rows of each task's items, added up.

        Args:
          item: int [N].
          task: int [N], whose item it is.
          fold: int [B], of each task.

        Returns:
          float32 [B, K W].
        """
        _, tables, width = self._files[0].shape
        found = np.zeros([len(fold), tables * width], np.float32)
        of_item = fold[task]
        for number in np.unique(of_item):
            own = of_item == number
            file, items, tasks = self._files[number], item[own], task[own]
            if self._stand_ins is None:
                found += file.sums(items, tasks, len(fold))
                continue
            items, tasks, share = self._stand_ins[number].read_as(items, tasks, file.shape[0])
            found += file.sums(items, tasks, len(fold), share)
        return found
