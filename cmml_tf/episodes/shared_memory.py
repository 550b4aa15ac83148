"""Arrays that tensors share the memory of.

`tf.constant` copies an array, and copies it once more where it does not begin as TensorFlow's own
memory does. Of arrays as large as a log that takes longer than much of what fills them, since the
system hands out and clears each new page.
"""

import numpy as np
import tensorflow as tf

_ALIGNMENT = 64
"""Bytes: TensorFlow ends the process when it meets memory that begins elsewhere."""


def shareable(length: int, dtype: type[np.generic]) -> np.ndarray:
    """An array [length] of this dtype, not filled, whose memory a tensor can share."""
    size = length * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % _ALIGNMENT
    return memory[first : first + size].view(dtype)


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
