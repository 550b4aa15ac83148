"""Tables are filled from a mapped file block by block, in whole and to the last row."""

import numpy as np
import pytest

from cmml_tf.datasets.safe_files.matrix_file import read_matrix
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.training.efficiency import peak_memory_mib

ROWS = 200_001


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A table of 98 MiB whose rows all differ."""
    path = tmp_path_factory.mktemp("table") / "items.npy"
    table = np.lib.format.open_memmap(path, "w+", np.float32, (ROWS, 128))
    table[:] = np.arange(ROWS, dtype=np.float32)[:, None]
    table.flush()
    return path


def test_every_row_arrives_and_memory_holds_the_table_once(file):
    values = read_matrix(file)
    assert isinstance(values, np.memmap)
    layer = PairEmbedding(3, ROWS, 2, 128)
    layer.build(None)
    before = peak_memory_mib()
    layer.set_tables(np.ones([3, 2]), values)
    # The map's pages count as resident, too, and one block is on its way.
    assert peak_memory_mib() - before < 1.0 * values.nbytes / 2**20 + 100
    table = layer.item_table.numpy()
    np.testing.assert_array_equal(table[:-1, 5], np.arange(ROWS))
    assert not table[-1].any()


def test_a_value_in_a_later_block_that_is_not_finite_is_refused(file, tmp_path):
    values = np.array(read_matrix(file))
    values[150_000, 7] = np.nan
    with pytest.raises(ValueError, match=r"`item_embeddings` must be finite"):
        PairEmbedding(3, ROWS, 2, 128).set_tables(np.ones([3, 2]), values)
    np.save(tmp_path / "nan.npy", values)
    with pytest.raises(ValueError, match=r"Row 150000, column 7 .* has nan"):
        read_matrix(tmp_path / "nan.npy")
