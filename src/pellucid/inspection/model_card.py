"""Describe a fitted model: target, features, training, network and columns."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.inspection import html
from pellucid.inspection.description import NetworkDescription, aligned

_COLUMN_HEAD = ("column", "kind", "inputs", "reason")
_COLUMN_TEXTS = frozenset({0, 1, 3})


@dataclass(frozen=True)
class ColumnDescription:
    """One column of the raw table: its recognized kind and its number of network inputs."""

    name: str
    kind: str
    n_inputs: int
    reason: str


@dataclass(frozen=True)
class ModelDescription:
    """Description of a fitted model; print it or display it in a notebook.

    Parameters
    ----------
    estimator : str
        Class name of the estimator.
    facts : dict of str to str
        Target, features, training and parameters that differ from their defaults.
    network : NetworkDescription
        Description of the layers.
    columns : tuple of ColumnDescription
        Columns of the raw table; empty if the network uses the columns without encoding.
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
        """Return an HTML card for notebooks."""
        facts = html.table((), list(self.facts.items()), frozenset({0, 1}))
        parts = [facts, self.network.html_table("layers")]
        if self.columns:
            rows = self._column_rows()
            parts.append(html.table(_COLUMN_HEAD, rows, _COLUMN_TEXTS, "columns"))
        return html.card(self.estimator, *parts)

    def _column_rows(self) -> list[tuple[str, ...]]:
        return [(c.name, c.kind, f"{c.n_inputs:,}", c.reason) for c in self.columns]
