"""Numbers and text as the older protocols of pickle write them, in lines of ASCII."""

import re

_LONGEST_NUMBER = 40
_INTEGER = re.compile(rb"[+-]?\d+L?")
_PYTHON_2_TEXT = re.compile(rb"(?:[^\\]|\\[\\'\"abfnrtv]|\\x[0-9a-fA-F]{2})*", re.DOTALL)
_ESCAPE = re.compile(rb"\\(x..|.)", re.DOTALL)
_ESCAPED = dict(zip((b"a", b"b", b"f", b"n", b"r", b"t", b"v"), b"\a\b\f\n\r\t\v", strict=True))


class RefusedPickleError(ValueError):
    """A pickle holds what is not plain data, or too much of it; the text begins with "it"."""


def plain_integer(text: bytes) -> int:
    """An integer of at most 40 digits.

    Raises:
      RefusedPickleError: It is none.
    """
    if len(text) > _LONGEST_NUMBER or _INTEGER.fullmatch(text) is None:
        raise RefusedPickleError(f"it holds the number {text[:_LONGEST_NUMBER]!r}")
    return int(text.rstrip(b"L"))


def plain_float(text: bytes) -> float:
    """A number of at most 40 characters.

    Raises:
      ValueError: It is none.
    """
    if len(text) > _LONGEST_NUMBER or b"_" in text:
        raise RefusedPickleError(f"it holds the number {text[:_LONGEST_NUMBER]!r}")
    return float(text)


def python_2_text(line: bytes) -> str:
    """A quoted string of Python 2, with escapes for what is not ASCII, read as latin-1.

    Raises:
      ValueError: It has no quotes, or other escapes than Python 2 writes.
    """
    quoted = len(line) >= 2 and line[:1] == line[-1:] and line[:1] in (b"'", b'"')
    if not quoted or _PYTHON_2_TEXT.fullmatch(line[1:-1]) is None:
        raise ValueError("it holds text without quotes, or with unknown escapes")
    return _ESCAPE.sub(_unescaped, line[1:-1]).decode("latin1")


def checked_text(text: str) -> str:
    """The text, unless it holds halves of characters, which no encoding has.

    Raises:
      RefusedPickleError: It does.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedPickleError("it holds text that is not Unicode") from None
    return text


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if code[:1] == b"x":
        return bytes([int(code[1:], 16)])
    return bytes([_ESCAPED[code]]) if code in _ESCAPED else code
