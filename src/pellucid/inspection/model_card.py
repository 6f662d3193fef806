"""A fitted model in a page: what it predicts, from what, how it was trained, what it is made of."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.inspection import html
from pellucid.inspection.description import NetworkDescription, aligned

_COLUMN_HEAD = ("column", "taken as", "inputs", "because")
_COLUMN_TEXTS = frozenset({0, 1, 3})


@dataclass(frozen=True)
class ColumnDescription:
    """One column of the raw table: what it was recognized as, and how many inputs it makes."""

    name: str
    kind: str
    n_inputs: int
    reason: str


@dataclass(frozen=True)
class ModelDescription:
    """What there is to know of a fitted model; `print` it to read it, or show it in a notebook.

    Parameters
    ----------
    estimator : str
        The name of its class.
    facts : dict of str to str
        What it predicts, from what, how it was trained, which parameters are no defaults.
    network : NetworkDescription
        Layer by layer.
    columns : tuple of ColumnDescription
        Of a raw table; empty where the network takes the columns as they are.
    """

    estimator: str
    facts: dict[str, str]
    network: NetworkDescription
    columns: tuple[ColumnDescription, ...] = ()

    def __str__(self) -> str:
        width = max(map(len, self.facts), default=0)
        facts = [f"{name.ljust(width)}  {fact}" for name, fact in self.facts.items()]
        parts = ["\n".join([self.estimator, *facts]), str(self.network)]
        if self.columns:
            parts.append(aligned([_COLUMN_HEAD, *self._column_rows()], _COLUMN_TEXTS))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        """Return HTML for a notebook."""
        facts = html.table((), list(self.facts.items()), frozenset({0, 1}))
        parts = [facts, self.network.html_table("layers")]
        if self.columns:
            rows = self._column_rows()
            parts.append(html.table(_COLUMN_HEAD, rows, _COLUMN_TEXTS, "columns"))
        return html.card(self.estimator, *parts)

    def _column_rows(self) -> list[tuple[str, ...]]:
        return [(c.name, c.kind, f"{c.n_inputs:,}", c.reason) for c in self.columns]
