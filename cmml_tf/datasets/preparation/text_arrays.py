"""Arrays of text as arrays of numbers, as long as the text is: what a .npz can hold."""

import numpy as np
import pyarrow as pa

_BYTES, _STARTS = "@bytes", "@starts"


def without_text(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of str (object [N]) as UTF-8, uint8, and where each begins, int64 [N + 1]."""
    plain = {}
    for name, array in arrays.items():
        if array.dtype != object:
            plain[name] = array
            continue
        _, starts, content = pa.array(array, pa.large_string()).buffers()
        plain[name + _STARTS] = np.frombuffer(starts, np.int64)[: len(array) + 1]
        plain[name + _BYTES] = np.frombuffer(content or b"", np.uint8)
    return plain


def with_text(plain: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `without_text` was given."""
    arrays = {}
    for name, array in plain.items():
        if name.endswith(_STARTS):
            name = name.removesuffix(_STARTS)
            buffers = [None, pa.py_buffer(array), pa.py_buffer(plain[name + _BYTES])]
            text = pa.Array.from_buffers(pa.large_string(), len(array) - 1, buffers)
            arrays[name] = text.to_numpy(zero_copy_only=False)
        elif not name.endswith(_BYTES):
            arrays[name] = array
    return arrays


def names_in_file(name: str) -> tuple[str, ...]:
    """What an array, text or not, is called in a file."""
    return name, name + _STARTS, name + _BYTES
