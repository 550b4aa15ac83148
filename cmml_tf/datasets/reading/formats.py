"""Which kind of file it is: told by its first bytes; and the header of a text."""

import csv
import io
from pathlib import Path

import pyarrow as pa

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PAR1": "parquet",
    b"PK\x03\x04": "zip",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_REFUSED = {
    "zip": "a zip archive or a spreadsheet. Save the table as CSV, or unpack it",
    "utf-16": "text in UTF-16. Save it as UTF-8",
}
_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 16 << 20
_PART = 1 << 16


def file_format(path: Path) -> str:
    """`gzip`, `zstd`, `parquet` or `text`.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is empty, or of a format that is not read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"The file {path} is missing. Give an existing file.")
    with path.open("rb") as file:
        head = file.read(_PART)
    if not head.strip():
        raise ValueError(f"The file {path} is empty. Get it again.")
    return _format(path, head)


def open_bytes(path: Path, kind: str) -> pa.NativeFile:
    """The bytes of a text file, unpacked."""
    return pa.input_stream(path, compression=None if kind == "text" else kind)


def first_line(path: Path, kind: str) -> tuple[str, int, int]:
    """The first line that is not blank, where it begins, and where the next does.

    Raises:
      ValueError: There is none, or it is no text in UTF-8.
    """
    try:
        with open_bytes(path, kind) as file:
            head = file.read(_PART)
            _format(path, head, packed=kind != "text")
            begin = len(_BOM) if head.startswith(_BOM) else 0
            while True:
                end = line_end(head, begin)
                if end is None:
                    more = file.read(_PART)
                    if more and len(head) < _LONGEST_LINE:
                        head += more
                        continue
                    end = len(head)
                if head[begin:end].strip():
                    return _text(path, head[begin:end]), begin, end
                if end == len(head):
                    raise ValueError(f"The file {path} is empty. Get it again.")
                begin = end
    except OSError as error:
        raise ValueError(damaged(path, error)) from error


def line_end(content: bytes, begin: int) -> int | None:
    """The byte behind the end of the line that begins there; None if the content does not say."""
    feed = content.find(b"\n", begin)
    carriage = content.find(b"\r", begin, None if feed < 0 else feed)
    if carriage < 0:
        return None if feed < 0 else feed + 1
    if carriage + 1 == len(content):
        return None  # a line feed may follow
    return carriage + (2 if content[carriage + 1 : carriage + 2] == b"\n" else 1)


def fields_of(line: str, separator: str) -> list[str]:
    """The fields of a header, without blanks around them."""
    if len(separator) > 1:
        return [field.strip() for field in line.split(separator)]
    reader = csv.reader(io.StringIO(line), delimiter=separator, skipinitialspace=True)
    return [field.strip() for field in next(reader, [])]


def damaged(path: Path, error: Exception) -> str:
    """The sentence for a file that cannot be unpacked or decoded."""
    return f"The file {path} is truncated or damaged ({error}). Write or get it again."


def _format(path: Path, head: bytes, packed: bool = False) -> str:
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "text")
    if kind == "text" and b"\0" in head[:1000].partition(b"\n")[0]:
        kind = "utf-16"
    if kind in _REFUSED:
        raise ValueError(f"The file {path} is {_REFUSED[kind]}.")
    if packed and kind != "text":
        raise ValueError(f"The file {path} must hold packed text. Received: {kind} inside.")
    return kind


def _text(path: Path, line: bytes) -> str:
    line = line.rstrip(b"\r\n")
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
