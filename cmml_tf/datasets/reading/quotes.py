"""Quotes within a line: a field in quotes may hold the separator; no quote reaches further.

A field is in quotes where a quote opens it and one closes it before the next separator or the end
of the line, quotes inside doubled; blanks may stand around it. Every other quote is a character
like others. Lines with such quotes are written anew, so that what parses the block, and would look
for the closing quote in the lines behind, finds proper ones only.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

QUOTE = b'"'


def with_proper_quotes(content: bytes, delimiter: bytes) -> bytes:
    """The same lines, each with line feed, with no quote that is open at the end of its line."""
    starts, ends = line_bounds(content)
    bounds = np.append(starts, len(content)).astype(np.int32)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(content)]
    lines = pa.Array.from_buffers(pa.binary(), len(starts), buffers)
    d = re.escape(delimiter.decode())
    field = rf'(?:[^"\n{d}][^\n{d}]*|"(?:[^"\n]|"")*")?'
    wrong = ~_matches(lines, rf"^{field}(?:{d}{field})*\n?$")
    blanks = "[ ]" if delimiter == b"\t" else r"[ \t]"
    if b' "' in content or b'\t"' in content:  # before a quote that opens a field
        wrong |= _matches(lines, rf'(?:^|{d}){blanks}+"')
    if not wrong.any():
        return content
    in_quotes = re.compile(rf'{blanks}*"((?:[^"]|"")*)"{blanks}*(?={d}|$)'.encode())
    pieces, done = [], 0
    for start, end in zip(starts[wrong], ends[wrong], strict=True):
        pieces += [content[done:start], _rewritten(content[start:end], delimiter, in_quotes)]
        done = end
    return b"".join([*pieces, content[done:]])


def line_bounds(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where each line begins, and where it ends without its line feed, int64 [lines] each."""
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
    if content and not content.endswith(b"\n"):
        ends = np.append(ends, len(content))
    return np.concatenate([[0], ends[:-1] + 1])[: len(ends)], ends


def _matches(lines: pa.Array, pattern: str) -> np.ndarray:
    return pc.match_substring_regex(lines, pattern).to_numpy(zero_copy_only=False)


def _rewritten(line: bytes, delimiter: bytes, in_quotes: re.Pattern[bytes]) -> bytes:
    fields, place = [], 0
    while place <= len(line):
        match = in_quotes.match(line, place)
        if match:
            fields.append(QUOTE + match[1] + QUOTE)
            place = match.end()
        else:
            end = line.find(delimiter, place)
            end = len(line) if end < 0 else end
            text = line[place:end].strip(b" \t")
            proper = QUOTE + text.replace(QUOTE, QUOTE * 2) + QUOTE
            fields.append(proper if QUOTE in text else text)
            place = end
        place += len(delimiter)
    return delimiter.join(fields)
