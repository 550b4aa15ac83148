"""The dozen options that a user needs, in a screenful; `--help-all` has the rest."""

import ast
import dataclasses
import functools
import inspect
import textwrap
from collections.abc import Sequence
from typing import Any

_WIDTH = 98
_INDENT = 26
_REQUIRED = object()


def short_help(description: str, program: str, base: Any, names: Sequence[str]) -> str:
    """The help text of a command.

    Args:
      description: What the command does, and examples.
      program: As it is called.
      base: The configuration, its values the defaults; or its class.
      names: The options, such as `seed` or `scenario.definition`.
    """
    lines = [f"usage: {program} [OPTIONS]", "", description.strip(), "", "options:"]
    for name in names:
        owner, value = base, base
        for part in name.split("."):
            owner, value = value, getattr(value, part, _REQUIRED)
        about = field_texts(owner if isinstance(owner, type) else type(owner))[
            name.rpartition(".")[2]
        ]
        flag = f"  --{name.replace('_', '-')}"
        text = textwrap.fill(
            f"{about} ({'required' if value is _REQUIRED else f'default: {_spelled(value)}'})",
            _WIDTH,
            break_on_hyphens=False,
            initial_indent=" " * _INDENT,
            subsequent_indent=" " * _INDENT,
        )
        lines.append(f"{flag:<{_INDENT}}{text.lstrip()}" if len(flag) < _INDENT else flag)
        if len(flag) >= _INDENT:
            lines.append(text)
    return "\n".join(lines)


@functools.cache
def field_texts(kind: type) -> dict[str, str]:
    """Field name to the text below it in the source, of a dataclass and what it inherits."""
    texts: dict[str, str] = {}
    for one in reversed(kind.__mro__[:-1]):
        if not dataclasses.is_dataclass(one):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                texts[field.target.id] = " ".join(str(text.value.value).split())
    return texts


def _spelled(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return (" ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
