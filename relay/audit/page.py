"""A report as one HTML page that needs nothing else: no script, no font, no picture."""

from collections.abc import Sequence
from html import escape

from relay.audit.report import Section

STYLE = """
body { font: 14px/1.4 sans-serif; margin: 2em; color: #222 }
h2 { margin: 2em 0 .3em; font-size: 1.1em }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #ccc; padding: .2em .5em; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #f2f2f2 }
.nothing { color: #666 }
.bad { color: #a00; font-weight: bold }
@media print { body { margin: 0 } tr { break-inside: avoid } }
"""


def page(title: str, period: str, verdict: str, *, is_good: bool, sections: Sequence[Section]) -> str:
    """Everything that came from outside is escaped: a client chooses what it calls itself."""
    parts = [
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>\n<p>{escape(period)}</p>",
        f'<p class="{"good" if is_good else "bad"}">{escape(verdict)}</p>',
        *map(_section, sections),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _section(section: Section) -> str:
    head = f"<h2>{escape(section.question)}</h2>"
    if not section.rows:
        return f'{head}\n<p class="nothing">Nothing in this period.</p>'
    more = f"<p>And {section.left_out} more.</p>" if section.left_out else ""
    rows = "\n".join(_row("td", row) for row in section.rows)
    return f"{head}\n<table>\n{_row('th', section.columns)}\n{rows}\n</table>{more}"


def _row(cell: str, values: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{escape(value)}</{cell}>" for value in values) + "</tr>"
