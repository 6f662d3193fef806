"""HTML descriptions for notebooks: plain tables that use the colors of the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_STYLE = (
    "<style>.pellucid-card{font-family:monospace;border:1px dotted currentColor;padding:.5em 1em;"
    "display:inline-block;max-width:100%;overflow-x:auto}.pellucid-card table{border-collapse:"
    "collapse;margin:.5em 0;font-size:inherit}.pellucid-card th,.pellucid-card td{text-align:left;"
    "padding:.1em .8em .1em 0;background:none}.pellucid-card .number{text-align:right}</style>"
)


def card(title: str, *parts: str) -> str:
    """Return an HTML box with a title and the given HTML parts."""
    return f'{_STYLE}<div class="pellucid-card"><b>{escape(title)}</b>{"".join(parts)}</div>'


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], texts: frozenset[int], caption: str = ""
) -> str:
    """Return an HTML table.

    Parameters
    ----------
    head : sequence of str
        Column headings; empty for none.
    rows : sequence of sequences of str
        Cells, which are escaped.
    texts : set of int
        Columns that are left-aligned. The others contain numbers and are right-aligned.
    caption : str
        Caption of the table; if given, the table can be collapsed.
    """

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}>{escape(cell)}</{tag}>"
            if c in texts
            else f'<{tag} class="number">{escape(cell)}</{tag}>'
            for c, cell in enumerate(row)
        )

    top = f"<thead><tr>{cells('th', head)}</tr></thead>" if head else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    whole = f"<table>{top}<tbody>{body}</tbody></table>"
    if not caption:
        return whole
    return f"<details open><summary>{escape(caption)}</summary>{whole}</details>"
