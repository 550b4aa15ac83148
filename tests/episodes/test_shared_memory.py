"""Tensors in the memory of arrays."""

import gc

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.episodes.shared_memory import shareable, shared_tensor


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("length", [0, 1, 1000])
def test_a_tensor_shares_the_memory_and_keeps_it(length, dtype):
    array = shareable(length, dtype)
    array[:] = 3
    tensor = shared_tensor(array)
    assert tensor.dtype == dtype
    assert tensor.shape == [length]
    array += np.arange(length, dtype=dtype)
    del array
    gc.collect(1)  # The young, which the array is among.
    np.testing.assert_array_equal(tensor, 3 + np.arange(length))


def test_memory_that_no_tensor_can_have_is_copied():
    array = shareable(9, np.int64)
    array[:] = np.arange(9)
    fixed = shareable(9, np.int64)
    fixed[:] = np.arange(9)
    fixed.setflags(write=False)
    for given, first in ((array[1:], 1), (fixed, 0)):
        tensor = shared_tensor(given)
        np.testing.assert_array_equal(tf.gather(tensor, [2, 5]), [2 + first, 5 + first])
