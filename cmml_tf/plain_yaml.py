"""YAML files of options: names, numbers and lists, in bounded time and memory.

YAML can say more than a file of options needs: a few hundred bytes of anchors that name each other
unfold to terabytes, tags name types, a name may stand twice and the last one wins. None of it is
accepted.
"""

import math
from pathlib import Path
from typing import Any

import yaml

_MOST_BYTES = 256 << 10
_MOST_LEVELS = 32
_LONGEST_NUMBER = 64
_LONGEST_TEXT = 1000
_LONGEST_REASON = 400
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MERGE = "tag:yaml.org,2002:merge"


def load_plain_yaml(path: Path) -> Any:
    """Reads a YAML file of plain values.

    Args:
      path: The file, UTF-8.

    Returns:
      Dictionaries, lists, text, finite numbers, truth values, dates and None.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is no YAML file, of more than 256 KiB, nested more than 32 levels, or has
        anchors, tags, a name that stands twice or a number that is not finite; the message names
        the file and, where there is one, the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(f"{path} must have at most {_MOST_BYTES} bytes. Received: {size}.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        _check_form(text)
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise ValueError(f"{path} is not a YAML file of plain values: {reason}") from error


class _PlainLoader(yaml.SafeLoader):
    """Builds the values of nodes; what a node is made of has been checked before."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if any(key.tag == _MERGE for key, _ in node.value):
            raise yaml.constructor.ConstructorError(None, None, "merges", node.start_mark)
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            seen: set[Any] = set()
            for key, _ in node.value:
                name = self.construct_object(key, deep=True)
                if name in seen:
                    raise ValueError(f"{name!r} stands twice{_place(key.start_mark)}")
                seen.add(name)
        return mapping

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        value = super().construct_scalar(node)
        if node.tag in _NUMBERS and len(value) > _LONGEST_NUMBER:
            raise ValueError(f"a number of {len(value)} characters{_place(node.start_mark)}")
        if len(value) > _LONGEST_TEXT:
            raise ValueError(f"a text of {len(value)} characters{_place(node.start_mark)}")
        value.encode()  # halves of characters, written as escapes, are no text
        return value

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        value = super().construct_yaml_float(node)
        if not math.isfinite(value):
            raise ValueError(f"the number {node.value} is not finite{_place(node.start_mark)}")
        return value


_PlainLoader.add_constructor(_NUMBERS[1], _PlainLoader.construct_yaml_float)


def _check_form(text: str) -> None:
    """Refuses anchors, tags, depth and further documents, event by event, before any node is."""
    levels = documents = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise ValueError(f"it holds several documents{_place(event.start_mark)}")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ValueError(f"anchors and aliases are not accepted{_place(event.start_mark)}")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"the tag {event.tag!r} is not accepted{_place(event.start_mark)}")
        levels += isinstance(event, yaml.CollectionStartEvent)
        levels -= isinstance(event, yaml.CollectionEndEvent)
        if levels > _MOST_LEVELS:
            raise ValueError(f"nested more than {_MOST_LEVELS} levels{_place(event.start_mark)}")


def _place(mark: yaml.Mark) -> str:
    return f" (line {mark.line + 1})"
