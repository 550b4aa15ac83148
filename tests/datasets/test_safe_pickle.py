"""Pickles: what is data is read, what runs or is broken is refused with a sentence."""

import collections
import os
import pickle
import struct

import numpy as np
import pytest

from cmml_tf.datasets.safe_pickle import load_plain_pickle


@pytest.fixture
def load(tmp_path):
    def write_and_load(content: bytes):
        path = tmp_path / "file"
        path.write_bytes(content)
        return load_plain_pickle(path)

    return write_and_load


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_survive_every_protocol(load, protocol):
    value = {
        "scenarios": [("comedy", [(1, 2), (3, 4)]), (7, [])],
        "number": -1.5,
        "none": None,
        "text": "Amélie",
        "bytes": b"\x00\xff",
        "set": {1, 2},
        "ordered": collections.OrderedDict(a=1),
    }
    assert load(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.int64).reshape(3, 4),
        np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
        np.arange(3, dtype=">i4"),
        np.array(["a", "longer"]),
        np.array(["a", 3, None], dtype=object),
        np.array([True, False]),
        np.zeros((0, 2), np.int32),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_arrays_survive_every_protocol(load, array, protocol):
    read = load(pickle.dumps([array], protocol))[0]
    assert read.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, array)


def test_numpy_scalars_are_numbers(load):
    value = load(pickle.dumps({np.int64(3): [np.float32(0.5), np.str_("x"), np.bool_(True)]}))
    assert value == {3: [0.5, "x", True]}


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_arrays_of_numpy_1_and_2(load, module):
    content = pickle.dumps(np.arange(3), protocol=2)
    content = content.replace(b"numpy._core.multiarray", module)
    content = content.replace(b"numpy.core.multiarray", module)
    np.testing.assert_array_equal(load(content), [0, 1, 2])


class _Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_refused_global_is_named_and_does_not_run(load, tmp_path, protocol):
    witness = tmp_path / "witness"
    with pytest.raises(ValueError, match=r"mkdir`.*Only plain containers"):
        load(pickle.dumps([_Runs(os.mkdir, str(witness))], protocol))
    assert not witness.exists()


@pytest.mark.parametrize("function", [eval, getattr, bytearray, np.load, collections.Counter])
def test_everything_that_is_not_listed_is_refused(load, function):
    with pytest.raises(ValueError, match=rf"asks for `.*{function.__name__}`"):
        load(pickle.dumps(_Runs(function, "1")))


def test_dtype_that_lies_about_its_size_is_refused(load):
    content = pickle.dumps(np.arange(3, dtype=np.int64), protocol=2)
    with pytest.raises(ValueError, match="was not read"):
        load(content.replace(b"i8", b"O8"))  # bytes as pointers
    with pytest.raises(ValueError, match="was not read"):
        load(content.replace(b"i8", b"V8"))


@pytest.mark.parametrize("kept", [0, 1, 10, 500, -1])
def test_truncated_file(load, kept):
    content = pickle.dumps([("comedy", [(user, user + 1) for user in range(200)])])
    with pytest.raises(ValueError, match=r"truncated or damaged.*get the complete file again"):
        load(content[:kept])


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]r\xff\xff\xff\xff.",
        b"]p4000000000\n.",
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"abc.",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"abc.",
        b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"abc.",
    ],
    ids=["long_binput", "put", "binbytes8", "bytearray8", "long4"],
)
def test_few_bytes_that_ask_for_much_memory(load, content):
    with pytest.raises(ValueError, match=r"The pickle .*(more memory|truncated|damaged)"):
        load(content)


def test_text_that_looks_like_a_large_memo_number_is_read(load):
    value = ["r\xff\xff\xff\xff", "rrrrr", "p99999999999\n"]
    assert load(pickle.dumps(value)) == value


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="user_dict is missing"):
        load_plain_pickle(tmp_path / "user_dict")
