"""Pickles: what is data is read, what runs or is broken is refused with a sentence."""

import collections
import os
import pickle
import struct

import numpy as np
import pytest

from cmml_tf.datasets.safe_files.pickled_text import RefusedPickleError
from cmml_tf.datasets.safe_files.pickled_values import PickledType
from cmml_tf.datasets.safe_files.safe_pickle import load_plain_pickle


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


def opcodes(text):
    return text if isinstance(text, bytes) else pickle.dumps(text)


NESTED = b"\x80\x02)" + b"2\x86" * 60  # a tuple of twice the one before, sixty times
CYCLE: list = []
CYCLE.append(CYCLE)
PAIRS = [(row, row) for row in range(1000)]
ARRAY = pickle.dumps(np.arange(3, dtype=np.int64), 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02)" + b"\x85" * 70 + b".", "nested more than 64 levels"),
        (b"]" * 30_000 + b"a" * 29_999 + b".", "nested more than|more memory"),
        (b"(" * 300_000, "more memory"),
        (b"(" + b"\x8f" * 300_000 + b"l.", "more memory"),
        (NESTED + b".", "the same values again and again"),
        (b"}" + NESTED[2:] + b"Ns.", "tuples of tuples as a key"),
        (opcodes([PAIRS] * 10_000), "the same values again and again"),
        (opcodes(CYCLE), "contains itself"),
        (opcodes({tuple(range(1000)): 1}), "a tuple of 1000 members as a key"),
        (opcodes({"x" * 5000: 1}), "a key of 5000 characters"),
        (b"}]Ns.", "a key of type list"),
        (b"\x8f(]\x90.", "a key of type list"),
        (opcodes(2**63), "beyond 64 bits"),
        (opcodes([np.uint64(2**63)]), "beyond 64 bits"),
        (b"L" + b"9" * 5000 + b"L\n.", "it holds the number"),
        (b"I" + b"1_0" + b"\n.", "it holds the number"),
        (opcodes("\ud800"), "not Unicode"),
        (pickle.dumps("\ud800", 0), "not Unicode"),
        (b"\x8c\x01\xff.", "not Unicode"),
        (
            ARRAY.replace(b"i8", b"u8").replace(b"(K\x01K\x03\x85", b"(K\x01K\x04\x85"),
            "24 bytes for",
        ),
        (opcodes(np.zeros((10**12, 0))), "without values of the shape"),
        (pickle.dumps(np.zeros((0, 10**12)), 2), "without values of the shape"),
        (b"cnumpy\nndarray\n.", "a name and no value"),
        (b"]cnumpy\nndarray\na.", "unfinished value"),
        (b"cnumpy\nndarray\n(I3\ntR.", "asks for `numpy.ndarray` of something else"),
        (b"cnumpy\nndarray\n)\x81.", "the instruction NEWOBJ"),
        (b"cbuiltins\nset\n(I1000000000\ntR.", "asks for `set` of something else"),
        (b"cbuiltins\nbytes\n(I1000000000\ntR.", "asks for `bytes` of something else"),
        (b"Pname\n.", "the instruction PERSID"),
        (b"(cos\nsystem\no.", "asks for `os.system`"),
        (b"]}b.", "sets attributes"),
        (b"N.", None),
        (b"NN.", "truncated or damaged"),
        (b"(.", "truncated or damaged"),
        (b"\xff.", "truncated or damaged .the byte 255"),
        (b"\x80\x09N.", "protocol 9 is not known"),
        (b"h\x05.", "memo has no value 5"),
        (b"S'a\\q'\n.", "unknown escapes"),
    ],
)
def test_what_is_made_to_do_harm_is_told(load, content, message):
    if message is None:
        assert load(content) is None
        return
    with pytest.raises(ValueError, match=rf"The pickle .*({message})"):
        load(content)


def test_an_object_array_with_fewer_objects_than_its_shape_is_refused(load):
    content = pickle.dumps(np.array(["a", "b", "c"], dtype=object), 2)
    assert b"K\x03\x85" in content
    with pytest.raises(ValueError, match=r"3 objects for an array of shape .7,"):
        load(content.replace(b"K\x03\x85", b"K\x07\x85"))


def test_keys_that_were_made_to_collide_are_refused(load):
    # Hashes of numbers are not salted: powers of 2 repeat theirs every 61, and so do multiples.
    keys = {(part, 2.0 ** (61 * power)): 0 for part in (0,) for power in range(-17, 17)}
    assert load(pickle.dumps(keys)) == keys
    keys = {tuple(2.0 ** (61 * power) for power in pair): 0 for pair in np.ndindex(9, 9)}
    assert len({hash(key) for key in keys}) == 1
    with pytest.raises(ValueError, match="made to collide"):
        load(pickle.dumps(keys))


def test_strings_of_python_2_are_latin_1(load):
    assert load(b"(dp0\nS'caf\\xe9\\n\\'\\\\'\np1\n(lp2\nI1\naL7L\nasU\x02a\xe9T\x01\0\0\0xs.") == {
        "café\n'\\": [1, 7],
        "aé": "x",
    }


def test_integers_of_64_bits_and_truth_values(load):
    for protocol in range(6):
        value = [2**63 - 1, -(2**63), 0, 255, 256, -1, True, False]
        assert load(pickle.dumps(value, protocol)) == value


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="user_dict is missing"):
        load_plain_pickle(tmp_path / "user_dict")


def test_a_type_that_is_deeply_nested_is_refused_in_a_short_sentence():
    code = ()
    for _ in range(10_000):
        code = (code,)
    with pytest.raises(RefusedPickleError, match="an array of the refused type") as caught:
        PickledType(code)
    assert len(str(caught.value)) < 200
