"""Arrays in .npy and .npz files that someone else wrote: numbers and text, nothing that runs.

What a file claims is compared with what it has, before any memory is asked for: the header of an
array with the bytes behind it, an archive's sizes with the file's own.
"""

import ast
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 4096
_HEADER = re.compile(r"[\w\s'\"<>|=?(){}:,]*", re.ASCII)
_TYPE = re.compile(r"[<>|=]?(?:\?|b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6})")
_KEYS = {"descr", "fortran_order", "shape"}
_MOST_AXES = 8
_MOST_ARRAYS = 10_000
# Bytes of an archive's list of members, of which Python makes 20 times as many.
_LARGEST_DIRECTORY = 4 << 20
_CHUNK = 16 << 20
_ACCEPTED = "Accepted: an .npz file of plain arrays, as numpy.savez writes it."
# Characters of what a file says that a message repeats.
_LONGEST_QUOTE = 200
# Weights and ids hardly shrink when packed. What unfolds to more than this was made to fill memory.
_UNFOLDED_FREE = 256 << 20
_UNFOLDED_OF_A_BYTE = 16
# RuntimeError: zipfile on an encrypted member; NotImplementedError: an unknown compression.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, struct.error)


class ArrayHeader(NamedTuple):
    """What an array says of itself.

    Attributes:
      shape: Its sizes.
      dtype: Of booleans, integers, floats, complex numbers, bytes or text.
      fortran_order: Whether the first axis runs fastest in the file.
      offset: Bytes before its values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool
    offset: int

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of all values."""
        return self.size * self.dtype.itemsize


def read_header(file: IO[bytes], length: int) -> ArrayHeader:
    """Reads what stands before the values of a .npy file.

    Args:
      file: At its beginning.
      length: Bytes of the file.

    Raises:
      ValueError: It is no .npy file of numbers or text, or claims another number of values than
        its length holds; the message is the reason, without a name.
    """
    prefix = file.read(len(_MAGIC) + 2)
    if len(prefix) < len(_MAGIC) + 2 or not prefix.startswith(_MAGIC):
        raise ValueError("it does not begin as a .npy file")
    major = prefix[-2]
    if major not in (1, 2, 3):
        raise ValueError(f"version {major} of the format is not known")
    form = struct.Struct("<H" if major == 1 else "<I")
    size = file.read(form.size)
    (wanted,) = form.unpack(size) if len(size) == form.size else (0,)
    if not 0 < wanted <= _LONGEST_HEADER:
        raise ValueError(f"its header claims {wanted} bytes")
    text = file.read(wanted)
    if len(text) < wanted:
        raise ValueError("it ends early")
    return _header(text.decode("latin1"), len(prefix) + form.size + wanted, length)


def _header(text: str, offset: int, length: int) -> ArrayHeader:
    """The header of what was written there; see `read_header`."""
    try:
        found = ast.literal_eval(text.strip()) if _HEADER.fullmatch(text) else None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, dict) or found.keys() != _KEYS:
        raise ValueError("it has no header of an array of numbers or text")
    code, shape, order = found["descr"], found["shape"], found["fortran_order"]
    if not isinstance(code, str) or _TYPE.fullmatch(code) is None:
        raise ValueError(f"its type {str(code)[:40]!r} is not one of numbers or text")
    sizes = isinstance(shape, tuple) and len(shape) <= _MOST_AXES and isinstance(order, bool)
    if not sizes or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"its shape {str(shape)[:80]} is not one of an array")
    header = ArrayHeader(shape, np.dtype(code), order, offset)
    if header.offset + header.bytes != length:
        raise ValueError(
            f"its header claims {header.bytes} bytes of values, and there are "
            f"{length - header.offset}"
        )
    if not header.bytes and math.prod(size for size in shape if size) > 1 << 20:
        raise ValueError(f"its shape {shape} claims rows without any value")
    return header


def check_values(array: np.ndarray) -> None:
    """Refuses bits that stand for no value, which numpy takes as they are.

    Raises:
      ValueError: A truth value is neither 0 nor 1, or text is not Unicode; the message is the
        reason, beginning with "it".
    """
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise ValueError("it holds truth values other than true and false")
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        points = array.view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if (points > 0x10FFFF).any() or ((points >= 0xD800) & (points <= 0xDFFF)).any():
            raise ValueError("it holds text that is not Unicode")


class ArrayArchive:
    """An .npz file that is open; an array's header is read before any of its values.

    Attributes:
      names: Of all arrays.
    """

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive = archive
        self._path = path
        self._members = _members(archive, path)
        self.names = list(self._members)

    def header(self, name: str) -> ArrayHeader:
        """What an array says of itself.

        Raises:
          ValueError: It is pickled or damaged, or claims a size that the archive does not.
        """
        member = self._members[name]
        try:
            with self._archive.open(member) as file:
                return read_header(file, member.file_size)
        except (ValueError, NotImplementedError, *_DAMAGED) as error:
            raise self._refused(name, error) from error

    def read(self, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
        """The arrays of the names that are wanted.

        Raises:
          ValueError: They unfold to much more than the file's size, or one is damaged.
        """
        headers = {name: self.header(name) for name in self.names if wanted(name)}
        unfolded = sum(header.bytes for header in headers.values())
        size = self._path.stat().st_size
        if unfolded > max(_UNFOLDED_FREE, _UNFOLDED_OF_A_BYTE * size):
            raise ValueError(
                f"{self._path.name!r} of {size} bytes claims arrays of {unfolded}, and was not "
                "unfolded: numbers do not shrink so far. If it is honest, write it again with "
                "numpy.savez, which does not pack."
            )
        return {name: self._read(name, header) for name, header in headers.items()}

    def _read(self, name: str, header: ArrayHeader) -> np.ndarray:
        member = self._members[name]
        try:
            content = np.empty(header.bytes, np.uint8)
            with self._archive.open(member) as file:
                file.read(header.offset)
                begin = 0
                while begin < header.bytes:
                    chunk = file.read(min(_CHUNK, header.bytes - begin))
                    if not chunk:
                        raise EOFError("it ends early")
                    content[begin : begin + len(chunk)] = np.frombuffer(chunk, np.uint8)
                    begin += len(chunk)
                if file.read(1):  # at the end, the checksum is compared
                    raise EOFError("more bytes follow")
            if header.dtype.itemsize:
                array = content.view(header.dtype)
            else:
                array = np.zeros(header.size, header.dtype)
            check_values(array)
        except (ValueError, MemoryError, *_DAMAGED) as error:
            raise self._refused(name, error) from error
        return array.reshape(header.shape, order="F" if header.fortran_order else "C")

    def _refused(self, name: str, error: Exception) -> ValueError:
        return ValueError(
            f"`{name[:_LONGEST_QUOTE]}` is pickled or damaged and was not loaded from "
            f"{self._path.name!r} ({str(error)[:_LONGEST_QUOTE]}). {_ACCEPTED}"
        )


@contextmanager
def open_archive(path: Path) -> Iterator[ArrayArchive]:
    """Opens an .npz file and reads the names of its arrays.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not an .npz file, or two arrays have one name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights or array file {str(path)!r}.")
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) == _MAGIC:
            raise ValueError(f"{path.name!r} holds one array, not an .npz archive. {_ACCEPTED}")
        try:
            directory = _directory_bytes(file)
            if directory > _LARGEST_DIRECTORY:
                raise ValueError(f"{directory} bytes of names")
            archive = zipfile.ZipFile(file)
            members = archive.infolist()
        except (ValueError, NotImplementedError, *_DAMAGED) as error:
            raise ValueError(
                f"{path.name!r} is not an .npz file ({str(error)[:_LONGEST_QUOTE]}). {_ACCEPTED}"
            ) from error
        if len(members) > _MOST_ARRAYS:
            raise ValueError(
                f"{path.name!r} must hold at most {_MOST_ARRAYS} arrays. Received: {len(members)}."
            )
        yield ArrayArchive(archive, path)


def _directory_bytes(file: IO[bytes]) -> int:
    """Bytes that an archive claims for its list of members; 0 where it has no end of one."""
    end, far_locator, far_end = struct.Struct("<12xI6x"), struct.Struct("<4s4xQ4x"), 56
    begin = max(0, file.seek(0, 2) - (end.size + 0xFFFF + far_locator.size + far_end))
    file.seek(begin)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < end.size:
        return 0
    claimed = [*end.unpack_from(tail, at)]
    if at >= far_locator.size:
        # Of a large archive another record counts, before the locator or where that says.
        mark, place = far_locator.unpack_from(tail, at - far_locator.size)
        if mark == b"PK\6\7":
            for start in (begin + at - far_locator.size - far_end, place):
                file.seek(max(0, min(start, begin + at)))
                record = file.read(far_end)
                if len(record) == far_end and record.startswith(b"PK\6\6"):
                    claimed += struct.unpack_from("<Q", record, 40)
    return max(claimed)


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise ValueError(
                f"`{name[:_LONGEST_QUOTE]}` stands twice in {path.name!r}, and which one is meant "
                "is not known."
            )
        members[name] = member
    return members
