"""Files of strangers: mutations of honest ones do no harm, and small ones that claim much are told.

Every reader runs in a process of its own, whose memory is limited.
"""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cmml_tf.datasets.safe_files.matrix_file import read_matrix
from cmml_tf.interop.npz_arrays import read_float_arrays, read_integer_arrays
from cmml_tf.plain_arrays import open_archive
from cmml_tf.plain_yaml import load_plain_yaml

FUZZ = Path(__file__).with_name("fuzz_readers.py")
ROOT = Path(__file__).resolve().parents[3]
MOST_MEBIBYTES = 1024
KINDS = ["pickle", "folder", "npy", "npz", "yaml"]


def fuzz(kind, seconds, seed, folder):
    ended = subprocess.run(
        [sys.executable, FUZZ, kind, str(seconds), str(seed), folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds + 200,
        check=False,
    )
    # A negative status is a signal.
    assert ended.returncode == 0, f"{ended.returncode}: {ended.stderr[-2000:]}"
    read, refused, largest = map(int, ended.stdout.split())
    assert read > 0
    assert refused > 0
    assert largest < MOST_MEBIBYTES


@pytest.mark.parametrize("kind", KINDS)
def test_mutations_of_honest_files_are_read_or_refused(tmp_path, kind):
    fuzz(kind, 1, 1, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize("kind", KINDS)
def test_a_minute_of_mutations(tmp_path, kind, seed):
    fuzz(kind, 20, seed, tmp_path)


def npy_claiming(shape, descr="<f8", content=b"", header=None):
    text = header or f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    line = text.encode("latin1").ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy_claiming((10**12, 0)), "claims rows without any value"),
        (npy_claiming((0, 10**12)), "claims rows without any value"),
        (npy_claiming((3, 0)), "must hold a matrix of real numbers"),
        (npy_claiming((10**9, 10**9)), "claims .* bytes of values, and there are 0"),
        (npy_claiming((2, 2), content=bytes(31)), "claims 32 bytes of values, and there are 31"),
        (npy_claiming((2, 2), content=bytes(33)), "claims 32 bytes of values, and there are 33"),
        (npy_claiming((-1, 2)), "no header|is not one of an array"),
        (npy_claiming((1, 1), "|O", bytes(8)), r"type '\|O' is not one of numbers"),
        (npy_claiming((1, 1), "<V8", bytes(8)), "type '<V8' is not one of numbers"),
        (npy_claiming((1, 1), "<U2", bytes(8)), "must hold a matrix of real numbers"),
        (npy_claiming(None, header="{'descr': " + "(" * 99), "no header of an array"),
        (npy_claiming(None, header="{'descr': open('x'), 'shape': ()}"), "no header of an array"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "its header claims 4294967295 bytes"),
        (b"\x93NUMPY\x09\x00\x10\x00", "version 9"),
        (b"\x93NUM", "does not begin as"),
        (b"", "does not begin as"),
    ],
)
def test_npy_that_is_not_what_it_claims(tmp_path, content, message):
    path = tmp_path / "matrix.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"embedding file .*matrix\.npy.*{message}"):
        read_matrix(path)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "<i8", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_honest_npy(tmp_path, dtype, order):
    matrix = np.arange(6).reshape(2, 3).astype(dtype, order=order)
    np.save(tmp_path / "matrix.npy", matrix)
    read = read_matrix(tmp_path / "matrix.npy")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, matrix)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.inf, "inf"), (np.nan, "nan"), (-np.inf, "-inf"), (1e300, "1e.300, beyond float32")],
)
def test_numbers_that_are_not_finite_are_named_by_row_and_column(tmp_path, value, message):
    matrix = np.zeros((70_000, 3))
    matrix[66_000, 2] = value
    np.save(tmp_path / "matrix.npy", matrix)
    with pytest.raises(ValueError, match=rf"Row 66000, column 2 .* has {message};"):
        read_matrix(tmp_path / "matrix.npy")


def archive(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_an_archive_that_unfolds_without_bound_is_not_unfolded(tmp_path):
    path = tmp_path / "weights.npz"
    block = bytes(1 << 20)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("state/a.npy", "w") as member,
    ):
        member.write(npy_claiming((300, 1 << 17)))
        for _ in range(300):
            member.write(block)
    assert path.stat().st_size < 400_000
    with pytest.raises(ValueError, match="claims arrays of 314572800, and was not unfolded"):
        read_float_arrays(path, lambda name: True)


def test_an_archive_must_be_what_it_says(tmp_path):
    honest = saved(np.ones(3, np.float32))
    path = tmp_path / "weights.npz"
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive(path, [("a.npy", honest), ("a.npy", honest)])
    with pytest.raises(ValueError, match=r"`a` stands twice in 'weights\.npz'"):
        read_float_arrays(path, lambda name: True)
    archive(path, [("a.npy", npy_claiming((10**12,), "<f4"))])
    with pytest.raises(ValueError, match=r"`a` is pickled or damaged.*claims 4000000000000 bytes"):
        read_float_arrays(path, lambda name: True)
    archive(path, [("a.npy", npy_claiming((10**12, 0), "<i4"))])
    with pytest.raises(ValueError, match=r"`a` is pickled or damaged.*without any value"):
        read_integer_arrays(path, ["a"])
    archive(path, [("a.npy", saved(np.array([2**63], np.uint64)))])
    with pytest.raises(ValueError, match="`a` must hold integers within int64"):
        read_integer_arrays(path, ["a"])
    archive(path, [("a.npy", npy_claiming((1,), "|b1", b"\x02"))])
    with open_archive(path) as opened, pytest.raises(ValueError, match="truth values"):
        opened.read(lambda name: True)
    archive(path, [(f"{number}{'x' * 60_000}.npy", b"") for number in range(80)])
    with pytest.raises(ValueError, match=r"not an \.npz file \(\d+ bytes of names"):
        read_float_arrays(path, lambda name: True)
    archive(path, [(f"{number}.npy", b"") for number in range(10_001)])
    with pytest.raises(ValueError, match="at most 10000 arrays"):
        read_float_arrays(path, lambda name: True)


def test_other_arrays_of_an_archive_are_not_looked_at(tmp_path):
    path = archive(
        tmp_path / "a.npz", [("x.npy", b"no array"), ("a.npy", saved(np.ones(2, np.float32)))]
    )
    read = read_float_arrays(path, lambda name: name == "a")
    assert read["a"].tolist() == [1, 1]


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"anchors and aliases are not accepted \(line 1\)"),
        ("a: 1\nb: *c\n", r"anchors and aliases .*line 2"),
        ("[" * 5000, "nested more than 32 levels"),
        ("- " * 5000, "nested more than 32 levels"),
        ("{a: " * 5000, "nested more than 32 levels"),
        ("seed: 1\nseed: 2\n", r"'seed' stands twice \(line 2\)"),
        ("a: {b: 1, c: 2, b: 3}", "'b' stands twice"),
        ("a: !!python/object/apply:os.system [ls]", "the tag .* is not accepted"),
        ("a: !!binary aGk=", "the tag .* is not accepted"),
        ("<<: {a: 1}", "merges"),
        ("a: 1\n---\nb: 2\n", "several documents"),
        ("a: .inf", r"\.inf is not finite"),
        ("a: .NaN", "is not finite"),
        ("a: 1.0e+999", "is not finite"),
        ("a: " + "9" * 5000, "a number of 5000 characters"),
        ("a: " + "x" * 5000, "a text of 5000 characters"),
        ("a: " + "1:" * 2000 + "1", "a number of 4001 characters"),
        ('a: "\\ud800"', "surrogates not allowed"),
        ("a: 2001-99-99", "month must be in"),
        ("a: [1", "not a YAML file of plain values"),
        ("a: \0", "not a YAML file of plain values"),
        ("x" * (256 * 1024 + 1), "at most 262144 bytes"),
    ],
)
def test_yaml_that_is_more_than_options(tmp_path, text, message):
    path = tmp_path / "options.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"options\.yaml .*{message}"):
        load_plain_yaml(path)


def test_yaml_that_is_not_utf_8(tmp_path):
    path = tmp_path / "options.yaml"
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(ValueError, match=r"options\.yaml is not a YAML file"):
        load_plain_yaml(path)


def test_yaml_of_options(tmp_path):
    path = tmp_path / "options.yaml"
    path.write_text('﻿a: 1\nb: [1.5, -2, x, "é", null, true]\nc: {d: 1.0e-3}\n', "utf-8")
    expected = {"a": 1, "b": [1.5, -2, "x", "é", None, True], "c": {"d": 0.001}}
    assert load_plain_yaml(path) == expected
