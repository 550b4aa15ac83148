"""Arrays that tensors share the memory of.

`tf.constant` copies an array, and copies it once more where it does not begin as TensorFlow's own
memory does. Of arrays as large as a log that takes longer than much of what fills them, since the
system has to find and clear each new page.
"""

import mmap

import numpy as np
import tensorflow as tf

_ALIGNMENT = 64
"""Bytes: TensorFlow ends the process when it meets memory that begins elsewhere."""


def shareable(length: int, dtype: type[np.generic]) -> np.ndarray:
    """An array [length] of this dtype, of zeros, whose memory a tensor can share.

    What is not written to takes no memory. NumPy itself asks for huge pages where an array has
    4 MiB; to get them can take several times as long as to get as much in pages of the usual size.
    """
    size = max(1, length * np.dtype(dtype).itemsize)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, dtype, length)


def shared_tensor(array: np.ndarray) -> tf.Tensor:
    """A tensor of the array's values, in its memory where that can be shared, else in a copy.

    Args:
      array: Of numbers, [N]; not written to afterwards.
    """
    if array.ctypes.data % _ALIGNMENT or not array.flags.writeable:
        copy = shareable(len(array), array.dtype.type)
        copy[:] = array
        array = copy
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
