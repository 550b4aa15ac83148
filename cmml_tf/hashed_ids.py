"""User ids as an export with hashed ids knows them."""

import hashlib
import hmac
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path

_SHORTEST_KEY = 16
_BYTES = 16


def hash_user_ids(ids: Iterable[int | str], key: bytes) -> list[str]:
    """Keyed hashes of user ids: the first 128 bits of HMAC-SHA256(key, id), as 32 hex digits.

    A number is hashed as its decimal digits, a string as UTF-8. Without the key nobody can tell
    from a hash whose it is, nor try out whether someone is among the hashed.

    Args:
      ids: User ids.
      key: The secret that the export was made with, at least 16 bytes.

    Raises:
      ValueError: The key is shorter, or an id is neither an integer nor text, so that its hash
        would be that of another id: 7.0 is not 7.

    Example:

    >>> hash_user_ids([7, "7"], b"sixteen bytes or more")[0][:8]
    'da9e1638'
    """
    if len(key) < _SHORTEST_KEY:
        raise ValueError(
            f"`key` must hold at least {_SHORTEST_KEY} bytes. Received: {len(key)} bytes."
        )
    return [hmac.digest(key, _text(one).encode(), hashlib.sha256)[:_BYTES].hex() for one in ids]


def named_users(ids: Iterable[int | str], key: bytes | None) -> list[str]:
    """User ids as requests to an export name them: as text, or as hashes where it has a key."""
    return [str(one) for one in ids] if key is None else hash_user_ids(ids, key)


def read_user_id_key(path: str | Path | None) -> bytes | None:
    """The key in a file, without blanks and line breaks at its ends; no file, no key.

    Raises:
      OSError: The file cannot be read.
      ValueError: It holds less than 16 bytes.
    """
    if path is None:
        return None
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise OSError(
            f"{str(path)!r} must be a file with the key of the user ids; `openssl rand -hex 32` "
            f"makes one. It cannot be read: {error.strerror}."
        ) from error
    if len(key) < _SHORTEST_KEY:
        raise ValueError(
            f"{str(path)!r} must hold a key of at least {_SHORTEST_KEY} bytes; "
            f"`openssl rand -hex 32` makes one. Received: {len(key)} bytes."
        )
    return key


def _text(one: int | str) -> str:
    if isinstance(one, bool) or not isinstance(one, str | Integral):
        raise ValueError(
            f"A user id must be an integer or text. Received: {one!r} of type {type(one).__name__}."
        )
    return str(one)
