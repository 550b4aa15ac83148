"""Docstrings of the library as the site's reader understands them.

`a, b: text` documents both arguments, and an example is a block of code.
"""

import re
from typing import Any

from griffe import Extension, Object

JOINT = re.compile(r"^  (\*{0,2}\w+(?:, \*{0,2}\w+)+): (.*(?:\n    .*)*)", re.MULTILINE)

EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


def _apart(joint: re.Match[str]) -> str:
    """An entry of several arguments as an entry for each."""
    return "\n".join(f"  {name}: {joint[2]}" for name in joint[1].split(", "))


class SiteDocstrings(Extension):
    """Takes arguments that share an entry apart, and fences examples."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrites the docstring of one module, class or function."""
        if obj.docstring is not None:
            text = JOINT.sub(_apart, obj.docstring.value)
            obj.docstring.value = EXAMPLE.sub(r"```pycon\n\g<0>\n```", text)
