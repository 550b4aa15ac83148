"""How a page looks: light and dark, wide and narrow, on paper."""

from types import MappingProxyType

INK, MUTED, LINE, PAPER = "#1b2130", "#5a6475", "#dde1e8", "#fefefe"
SERIES = ("#0b5cc0", "#c2410c", "#0e7a5f", "#8d3bb0", "#94690a", "#4b5567", "#b0235f", "#2b7f93")
"""Colours of lines and dots on paper, told apart by their markers, too."""
_DARK = ("#6cb0ff", "#ff9d6b", "#4fd1a7", "#d69bf2", "#e2bb55", "#aab4c4", "#ff86b4", "#74cfe3")

COLOURS = MappingProxyType(
    {
        INK: "currentColor",
        MUTED: "var(--muted)",
        LINE: "var(--line)",
        PAPER: "none",
        **{colour: f"var(--s{place})" for place, colour in enumerate(SERIES)},
    }
)
"""Colours of a picture to what they are on a page, which is light or dark."""


def _series(colours: tuple[str, ...]) -> str:
    return "".join(f"--s{place}:{colour};" for place, colour in enumerate(colours))


STYLE = f"""
:root {{
  color-scheme: light dark;
  --ink:{INK}; --muted:{MUTED}; --line:{LINE}; --paper:#fff; --panel:#f6f7f9;
  --good:#0e7a5f; --good-panel:#e9f6f1; --poor:#b3400a; --poor-panel:#fdf0e7; {_series(SERIES)}
}}
@media (prefers-color-scheme: dark) {{
  :root {{
    --ink:#e7eaf0; --muted:#9aa5b6; --line:#333b49; --paper:#12161d; --panel:#1a2029;
    --good:#4fd1a7; --good-panel:#12291f; --poor:#ff9d6b; --poor-panel:#331f12; {_series(_DARK)}
  }}
}}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }}
body {{
  margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 4rem; max-width: 64rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}}
h1 {{ font-size: clamp(1.4rem, 4.5vw, 2rem); line-height: 1.2; margin: 0 0 .3rem; }}
h2 {{ font-size: 1.25rem; margin: 0 0 .4rem; }}
h3 {{ font-size: 1rem; margin: 1.4rem 0 .3rem; }}
h1, td, p, a, tbody th {{ overflow-wrap: anywhere; }}
p {{ margin: .4rem 0 .8rem; max-width: 72ch; }}
.quiet, figcaption, .about {{ color: var(--muted); }}
.quiet, figcaption {{ font-size: .9rem; }}
.verdict {{
  margin: 1rem 0; padding: .9rem 1.1rem; max-width: none; border-left: .35rem solid;
  border-radius: .4rem; font-size: 1.1rem;
}}
.verdict.good {{ border-color: var(--good); background: var(--good-panel); }}
.verdict.plain {{ border-color: var(--s0); background: var(--panel); }}
.verdict.poor {{ border-color: var(--poor); background: var(--poor-panel); }}
nav {{ display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .95rem; }}
a {{ color: var(--s0); text-underline-offset: .15em; }}
section {{ margin-top: 2.2rem; padding-top: 1.3rem; border-top: 1px solid var(--line); }}
.figures {{
  display: grid; gap: 1rem; margin: .8rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
}}
figure {{
  margin: 0; padding: .8rem; background: var(--panel); border-radius: .5rem;
  max-width: 34rem; min-width: 0;
}}
figcaption {{ margin-top: .3rem; }}
svg {{ display: block; width: 100%; height: auto; color: var(--ink); }}
svg text {{ font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif !important; }}
.scroll {{ overflow-x: auto; margin: .8rem 0; }}
table {{ border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }}
th, td {{
  padding: .32rem .7rem; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: baseline;
}}
td {{ white-space: nowrap; }}
td small {{ display: block; font-size: .85em; opacity: .8; }}
thead th {{ color: var(--muted); font-weight: 600; vertical-align: bottom; min-width: 3.2rem; }}
tbody th {{ font-weight: 400; min-width: 10.5rem; }}
th:first-child {{ text-align: left; position: sticky; left: 0; background: var(--paper); }}
tr.strong th, tr.strong td {{ font-weight: 700; }}
.facts td {{ text-align: left; white-space: normal; }}
.good {{ color: var(--good); }} .poor {{ color: var(--poor); }}
.verdict.good, .verdict.poor {{ color: inherit; }}
details {{ margin: .7rem 0; }}
summary {{ cursor: pointer; color: var(--s0); }}
pre {{
  overflow-x: auto; padding: .8rem; background: var(--panel); border-radius: .5rem;
  font-size: .85rem; line-height: 1.4;
}}
@media (max-width: 30rem) {{
  body {{ padding-inline: .8rem; }} figure {{ padding: .4rem; }}
  th, td {{ padding: .3rem .5rem; }} tbody th {{ min-width: 7rem; }} }}
@media print {{ nav {{ display: none; }} section {{ break-inside: avoid-page; }} }}
"""
