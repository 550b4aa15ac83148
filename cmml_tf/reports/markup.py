"""HTML of which a page is made. What comes from data is escaped here, once."""

import math
import re
from collections.abc import Iterable, Sequence
from html import escape

from cmml_tf.reports.style import STYLE

_NOTHING = "\N{EN DASH}"
# Signs that join words without a blank.
_BREAKS = re.compile(r"([-/_.,:;|@+=&])(?=\w)")


class Markup(str):
    """Text that is HTML already."""


Cell = str | float | int | None
"""Of a table; `Markup` is taken as it is, a float is written with four digits."""


def clean(name: object) -> str:
    """A name as a page and a picture can show it: control characters and the like replaced."""
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(name)
    )


def html(value: Cell) -> str:
    """A value as HTML."""
    if isinstance(value, Markup):
        return value
    return escape(written(value))


def written(value: Cell) -> str:
    """A value as text: whole numbers with thousands, others with four digits, none as a dash."""
    if value is None or value != value:
        return _NOTHING
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int):
        return f"{value:,}"
    return clean(value)


def interval(mean: float | None, half_width: float | None) -> str:
    """`0.1234 ± 0.0012`."""
    return written(mean) if mean is None or half_width is None else f"{mean:.4f} ± {half_width:.4f}"


def stacked(mean: float | None, half_width: float | None) -> Cell:
    """An interval as a table has it, half of its width below the mean."""
    if mean is None or half_width is None:
        return mean
    return Markup(f"{mean:.4f}{_below(half_width)}")


def signed(value: float | None, half_width: float | None = 0.0) -> Cell:
    """A difference, coloured where it is sure: green above nothing, red below.

    Args:
      value: The difference; None or NaN: there is none.
      half_width: Half of its interval; None: it has none, so nothing is sure; 0: its sign counts.
    """
    if value is None or math.isnan(value):
        return None
    is_sure = half_width is not None and abs(value) > half_width
    kind = ("good" if value > 0 else "poor") if is_sure else ""
    half = _below(half_width) if half_width else ""
    return Markup(f'<span class="{kind}">{value:+.4f}{half}</span>')


def joined(parts: Iterable[str]) -> Markup:
    """Pieces of HTML, one after another."""
    return Markup("\n".join(part for part in parts if part))


def paragraph(*texts: Cell, kind: str = "") -> Markup:
    """A paragraph."""
    return Markup(f"<p{_class(kind)}>{' '.join(map(html, texts))}</p>")


def table(
    head: Sequence[Cell], rows: Iterable[Sequence[Cell]], strong: object = None, kind: str = ""
) -> Markup:
    """A table that scrolls where the page is too narrow for it.

    Args:
      head: Above the columns.
      rows: The first cell of each is its name.
      strong: The name whose row is printed bold.
      kind: `facts`: of words rather than numbers.
    """
    lines = []
    for name, *cells in rows:
        own = _class("strong" if strong is not None and name == strong else "")
        others = "".join(f"<td>{html(cell)}</td>" for cell in cells)
        lines.append(f'<tr{own}><th scope="row">{_named(name)}</th>{others}</tr>')
    above = "".join(f'<th scope="col">{html(cell)}</th>' for cell in head)
    return Markup(
        f'<div class="scroll" tabindex="0"><table{_class(kind)}>'
        f"<thead><tr>{above}</tr></thead>\n<tbody>" + "\n".join(lines) + "</tbody></table></div>"
    )


def section(ident: str, title: str, *parts: str) -> Markup:
    """A part of a page with a heading; nothing where it has no content."""
    content = joined(parts)
    if not content:
        return Markup("")
    return Markup(f'<section id="{ident}"><h2>{html(title)}</h2>\n{content}\n</section>')


def details(summary: str, content: str) -> Markup:
    """What is folded away."""
    return Markup(f"<details><summary>{html(summary)}</summary>\n{content}\n</details>")


def preformatted(text: str) -> Markup:
    """Lines as they are."""
    return Markup("<pre>" + "\n".join(escape(clean(line)) for line in text.splitlines()) + "</pre>")


def figures(*parts: str) -> Markup:
    """Figures side by side where there is room."""
    content = joined(parts)
    return Markup(f'<div class="figures">{content}</div>' if content else "")


def page(title: str, about: str, verdict: str, kind: str, sections: Sequence[str]) -> str:
    """A whole page: no script, nothing that is loaded from elsewhere.

    Args:
      title: Of the page.
      about: Below it.
      verdict: The sentence a reader takes away.
      kind: Of the sentence: `good`, `poor` or `plain`.
      sections: Of `section`; those without content are left out.
    """
    kept = [one for one in sections if one]
    links = "".join(f'<a href="#{ident}">{heading}</a>' for ident, heading in map(_heading, kept))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{html(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>{html(title)}</h1>
{about}
<p class="verdict {kind}">{html(verdict)}</p>
<nav aria-label="Sections">{links}</nav></header>
<main>
{joined(kept)}
</main>
</body>
</html>
"""


def _heading(one: str) -> tuple[str, str]:
    ident = one.split('id="', 1)[1].split('"', 1)[0]
    return ident, one.split("<h2>", 1)[1].split("</h2>", 1)[0]


def _named(name: Cell) -> str:
    """A name that may be broken behind signs that join its words, too."""
    if isinstance(name, Markup):
        return name
    return Markup("<wbr>".join(map(escape, _BREAKS.sub(r"\1\n", written(name)).split("\n"))))


def _below(width: float) -> str:
    return f" <small>± {width:.4f}</small>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
