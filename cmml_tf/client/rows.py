"""Callers' lists, arrays and pandas columns as rows of equal length.

One task is a flat sequence, several tasks a sequence of sequences or a matrix. Rows of different
length are padded at the end with their own first element, and never to less than one element, as
the served signatures want it.
"""

from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from cmml_tf.client.encoding import STRING, dtype_name, numeric_dtype
from cmml_tf.client.errors import InputError

_SCALARS = frozenset((str, bytes, int, float, bool))


Values = list[bytes] | np.ndarray
"""Strings in a list, or an array of numbers."""

ValuesT = TypeVar("ValuesT", bound=Values, covariant=True)


class Rows(NamedTuple, Generic[ValuesT]):
    """One input of B tasks.

    Attributes:
      flat: B * width values, row by row.
      lengths: Values of each task before padding.
      width: Length of the longest row, at least 1.
      single: One task was given as a flat sequence.
    """

    flat: ValuesT
    lengths: list[int]
    width: int
    single: bool


def read_rows(name: str, values: Any, dtype: int) -> Rows[Values]:
    """Reads one input of strings or of numbers.

    Args:
      name: Its name, for errors.
      values: List, tuple, NumPy array, pandas Series or Index; or a sequence or matrix of them.
      dtype: TensorFlow dtype the signature wants.

    Raises:
      InputError: Not a sequence, or values of another type.
    """
    return _read_strings(name, values) if dtype == STRING else read_numbers(name, values, dtype)


def read_numbers(name: str, values: Any, dtype: int) -> Rows[np.ndarray]:
    """Reads one input of numbers; see `read_rows`."""
    if _fits(values, numeric_dtype(dtype)):
        return Rows(values, [len(values)], len(values), True)  # nothing to convert
    given = _given(name, values)
    if isinstance(given, np.ndarray):
        flat = _numbers(name, given.ravel(), dtype)
        rows, width = _shape(given)
        return Rows(flat, [width] * rows, width, given.ndim == 1)
    lengths = [len(row) for row in given.rows]
    if len(lengths) == 1 and lengths[0]:
        flat = _numbers(name, _array(name, given.rows[0]), dtype)
        return Rows(flat, lengths, lengths[0], given.single)
    width = max(1, *lengths)
    padded = np.zeros((len(lengths), width), numeric_dtype(dtype))
    for position, (row, length) in enumerate(zip(given.rows, lengths, strict=True)):
        if length:
            padded[position, :length] = _numbers(name, _array(name, row), dtype)
            padded[position, length:] = padded[position, 0]
    return Rows(padded.ravel(), lengths, width, given.single)


def _read_strings(name: str, values: Any) -> Rows[list[bytes]]:
    given = _given(name, values)
    if isinstance(given, np.ndarray):
        texts = _strings(name, given.ravel().tolist())
        rows, width = _shape(given)
        return Rows(texts, [width] * rows, width, given.ndim == 1)
    lengths = [len(row) for row in given.rows]
    width = max(1, *lengths)
    texts = []
    for row, length in zip(given.rows, lengths, strict=True):
        own = _strings(name, row.tolist() if isinstance(row, np.ndarray) else row)
        texts += own
        if length < width:
            texts += [own[0] if own else b""] * (width - length)
    return Rows(texts, lengths, width, given.single)


def read_pairs(
    side: str, user: Any, item: Any, dtypes: dict[str, int]
) -> tuple[Rows[Values], Rows[Values]]:
    """Reads the users and the items of pairs.

    Args:
      side: `support` or `query`.
      user: One for each item; or one id for all of them; or, of several tasks, a flat sequence
        with one id for each task.
      item: The items.
      dtypes: TensorFlow dtypes the signature wants, by name.

    Raises:
      InputError: Not ids, or another number of them than tasks.
    """
    user_name, item_name = f"{side}_user_id", f"{side}_item_id"
    one_id = isinstance(user, (str, bytes, int, np.integer))
    users = read_rows(user_name, [user] if one_id else user, dtypes[user_name])
    items = read_rows(item_name, item, dtypes[item_name])
    if one_id:
        return spread(users, [len(items.lengths) * items.width], items), items
    if items.single or not users.single or not users.lengths[0]:
        return users, items
    tasks = len(items.lengths)
    if users.lengths != [tasks]:
        raise InputError(
            f"`{user_name}` as a flat sequence must hold one id for each task. "
            f"Received: {users.lengths[0]} for {tasks} tasks."
        )
    return spread(users, [items.width] * tasks, items), items


def spread(rows: Rows[Values], times: list[int], like: Rows[Values]) -> Rows[Values]:
    """Rows as long as others, of values that stand for several pairs each."""
    if isinstance(rows.flat, np.ndarray):
        return Rows(np.repeat(rows.flat, times), *like[1:])
    flat = [value for value, count in zip(rows.flat, times, strict=True) for _ in range(count)]
    return Rows(flat, *like[1:])


def _fits(values: Any, dtype: np.dtype) -> bool:
    return (
        type(values) is np.ndarray  # a masked array is another
        and values.ndim == 1
        and len(values) > 0
        and values.dtype == dtype
    )


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) or hasattr(value, "to_numpy")


def _plain(name: str, values: Any) -> list[Any] | tuple[Any, ...] | np.ndarray:
    if isinstance(values, (list, tuple)):
        return values
    if isinstance(values, np.ndarray):
        if np.ma.is_masked(values):
            raise InputError(f"`{name}` must hold no masked values. Received: {values}.")
        # Arrays of objects hold anything, sequences too: lists sort that out.
        return values.tolist() if values.dtype == object else values
    if hasattr(values, "to_numpy"):  # pandas Series, Index and arrays, and those of Arrow
        try:
            array = values.to_numpy()
        except ValueError as error:
            raise InputError(f"`{name}` must be values without nulls. {error}") from error
        return _plain(name, array)
    raise InputError(
        f"`{name}` must be a list, a NumPy array or a pandas Series. "
        f"Received: {type(values).__name__}."
    )


class _Ragged(NamedTuple):
    """Rows of any lengths; `single`: there was one flat sequence."""

    rows: list[Any]
    single: bool


def _given(name: str, values: Any) -> np.ndarray | _Ragged:
    """What a caller gave: a row or a matrix of values in one array, or sequences."""
    plain = _plain(name, values)
    if isinstance(plain, np.ndarray):
        if plain.ndim not in (1, 2):
            raise InputError(
                f"`{name}` must have one or two dimensions. Received: shape={list(plain.shape)}."
            )
        if plain.size:
            return plain
        plain = plain.tolist()
    nested = []
    if not _SCALARS.issuperset(map(type, plain)):
        nested = [_plain(name, row) for row in plain if _is_sequence(row)]
    if nested and len(nested) != len(plain):
        raise InputError(f"`{name}` must hold either values or sequences. Received: a mixture.")
    return _Ragged(nested or [plain], not nested)


def _shape(values: np.ndarray) -> tuple[int, int]:
    """Rows, and values of each."""
    return (1, len(values)) if values.ndim == 1 else values.shape


def _array(name: str, row: Any) -> np.ndarray:
    try:
        return np.asarray(row)
    except ValueError as error:
        raise InputError(f"`{name}` must be sequences of numbers. {error}") from error


def _strings(name: str, values: Any) -> list[bytes]:
    try:
        return [value.encode() for value in values]
    except AttributeError:
        pass
    except UnicodeEncodeError as error:
        raise InputError(f"`{name}` must hold Unicode text. Received: {error.object!r}.") from error
    texts = []
    for value in values:
        if not isinstance(value, (str, bytes)):
            raise InputError(
                f"`{name}` must hold strings, as this model's ids are. "
                f"Received: {value!r} of type {type(value).__name__}."
            )
        texts.append(value.encode() if isinstance(value, str) else value)
    return texts


def _numbers(name: str, values: np.ndarray, dtype: int) -> np.ndarray:
    wanted = numeric_dtype(dtype)
    if values.dtype == wanted and values.ndim == 1:
        return values
    accepted = "iufb" if wanted.kind == "f" else "iu"
    if values.dtype.kind not in accepted or values.ndim != 1:
        raise InputError(
            f"`{name}` must hold {dtype_name(dtype)} values. "
            f"Received: dtype={values.dtype}, shape={list(values.shape)}."
        )
    if wanted.kind in "iu" and values.size:
        limits = np.iinfo(wanted)
        low, high = int(values.min()), int(values.max())
        if low < limits.min or high > limits.max:
            raise InputError(
                f"`{name}` must fit {dtype_name(dtype)}. Received: values from {low} to {high}."
            )
    with np.errstate(over="ignore"):  # infinite then, which is refused where it must not be
        return values.astype(wanted)
