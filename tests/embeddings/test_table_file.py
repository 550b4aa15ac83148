"""Tables in a file are read as written, and added up by the tables of each task's fold."""

import sys

import numpy as np
import pytest
from file_limit import no_file_beyond

from cmml_tf.embeddings.stand_ins import StandIns
from cmml_tf.embeddings.table_file import FoldTables, TableFile

ITEMS, TABLES, WIDTH = 7, 2, 9


def filled(seed):
    values = np.random.default_rng(seed).normal(size=[ITEMS, TABLES, WIDTH]).astype(np.float32)
    file = TableFile(ITEMS, TABLES, WIDTH)
    for table in range(TABLES):
        file.write(table, values[:, table])
    return file, values


def test_rows_are_read_as_they_were_written():
    file, values = filled(0)
    np.testing.assert_array_equal(file.read(), values)
    np.testing.assert_array_equal(file.read(np.array([5, 0, 5])), values[[5, 0, 5]])


@pytest.mark.parametrize("rows_at_a_time", [1, 3, 256])
def test_the_sum_of_a_task_is_of_its_items_in_the_tables_of_its_fold(monkeypatch, rows_at_a_time):
    monkeypatch.setattr("cmml_tf.embeddings.table_file._ROWS_AT_A_TIME", rows_at_a_time)
    (first, one), (second, other) = filled(1), filled(2)
    item, task = np.array([1, 4, 4, 1, 0], np.int32), np.array([0, 0, 1, 1, 1], np.int32)
    sums = FoldTables([first, second]).sums(item, task, np.array([1, 0, 0], np.int32))
    wanted = other[[1, 4]].sum(0), one[[4, 1, 0]].sum(0), np.zeros([TABLES, WIDTH])
    np.testing.assert_allclose(sums, np.reshape(wanted, [3, -1]), rtol=1e-5)


def test_an_item_in_no_table_has_the_rows_of_what_stands_in_for_it_in_the_fold_of_its_task():
    (first, one), (second, other) = filled(1), filled(2)
    in_first = StandIns(np.int32([[2, 5]]), np.float32([[0.25, 0.75]]))
    in_second = StandIns(np.int32([[3, 0]]), np.float32([[1.0, 0.0]]))
    item, task = np.array([1, ITEMS, ITEMS], np.int32), np.array([0, 0, 1], np.int32)
    tables = FoldTables([first, second], [in_first, in_second])
    sums = tables.sums(item, task, np.array([0, 1], np.int32))
    wanted = one[1] + 0.25 * one[2] + 0.75 * one[5], other[3]
    np.testing.assert_allclose(sums, np.reshape(wanted, [2, -1]), rtol=1e-5)


def test_a_table_is_on_the_disk_once_written_and_a_full_disk_is_told_to_its_writer(monkeypatch):
    told_to_nobody = []
    monkeypatch.setattr(sys, "unraisablehook", told_to_nobody.append)
    file, _ = filled(0)
    with no_file_beyond(100):
        with pytest.raises(OSError, match="No space left on device"):
            file.write(0, np.zeros([ITEMS, WIDTH]))
        del file
    assert not told_to_nobody
