"""Callers' lists, arrays and pandas columns as rows of equal length.

One task is a flat sequence, several tasks a sequence of sequences or a matrix. Rows of different
length are padded at the end with their own first element, and never to less than one element, as
the served signatures want it.
"""

from typing import Any, NamedTuple

import numpy as np

from cmml_tf.client.encoding import STRING, dtype_name, numeric_dtype
from cmml_tf.client.errors import InputError

_SCALARS = frozenset((str, bytes, int, float, bool))


class Rows(NamedTuple):
    """One input of B tasks.

    Attributes:
      flat: B * width values, row by row: bytes in a list, or an array of numbers.
      lengths: Values of each task before padding.
      width: Length of the longest row, at least 1.
      single: One task was given as a flat sequence.
    """

    flat: list[bytes] | np.ndarray
    lengths: list[int]
    width: int
    single: bool


def read_rows(name: str, values: Any, dtype: int) -> Rows:
    """Reads one input.

    Args:
      name: Its name, for errors.
      values: List, tuple, NumPy array, pandas Series or Index; or a sequence or matrix of them.
      dtype: TensorFlow dtype the signature wants.

    Raises:
      InputError: Not a sequence, or values of another type.
    """
    if dtype != STRING and _fits(values, numeric_dtype(dtype)):
        return Rows(values, [len(values)], len(values), True)  # nothing to convert
    values = _plain(name, values)
    if isinstance(values, np.ndarray):
        if values.ndim not in (1, 2):
            raise InputError(
                f"`{name}` must have one or two dimensions. Received: shape={list(values.shape)}."
            )
        if values.size:
            return _matrix(name, values, dtype)
        values = values.tolist()
    nested = []
    if not _SCALARS.issuperset(map(type, values)):
        nested = [_plain(name, row) for row in values if _is_sequence(row)]
    if nested and len(nested) != len(values):
        raise InputError(f"`{name}` must hold either values or sequences. Received: a mixture.")
    single = not nested
    return _ragged(name, [values] if single else nested, dtype, single)


def read_pairs(side: str, user: Any, item: Any, dtypes: dict[str, int]) -> tuple[Rows, Rows]:
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
        times = [len(items.lengths) * items.width]
        return items._replace(flat=_repeated(users.flat, times)), items
    if items.single or not users.single or not users.lengths[0]:
        return users, items
    tasks = len(items.lengths)
    if users.lengths != [tasks]:
        raise InputError(
            f"`{user_name}` as a flat sequence must hold one id for each task. "
            f"Received: {users.lengths[0]} for {tasks} tasks."
        )
    return items._replace(flat=_repeated(users.flat, [items.width] * tasks)), items


def _repeated(values: list[bytes] | np.ndarray, times: list[int]) -> list[bytes] | np.ndarray:
    if isinstance(values, np.ndarray):
        return np.repeat(values, times)
    return [value for value, count in zip(values, times, strict=True) for _ in range(count)]


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


def _matrix(name: str, values: np.ndarray, dtype: int) -> Rows:
    single = values.ndim == 1
    rows, width = (1, len(values)) if single else values.shape
    flat = _strings(name, values.ravel().tolist()) if dtype == STRING else None
    if flat is None:
        flat = _numbers(name, values.ravel(), dtype)
    return Rows(flat, [width] * rows, width, single)


def _ragged(name: str, rows: list[Any], dtype: int, single: bool) -> Rows:
    lengths = [len(row) for row in rows]
    width = max(1, *lengths)
    if dtype == STRING:
        texts: list[bytes] = []
        for row, length in zip(rows, lengths, strict=True):
            own = _strings(name, row.tolist() if isinstance(row, np.ndarray) else row)
            texts += own
            if length < width:
                texts += [own[0] if own else b""] * (width - length)
        return Rows(texts, lengths, width, single)
    if len(rows) == 1 and lengths[0]:
        return Rows(_numbers(name, _array(name, rows[0]), dtype), lengths, width, single)
    padded = np.zeros((len(rows), width), numeric_dtype(dtype))
    for position, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        if length:
            padded[position, :length] = _numbers(name, _array(name, row), dtype)
            padded[position, length:] = padded[position, 0]
    return Rows(padded.ravel(), lengths, width, single)


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
