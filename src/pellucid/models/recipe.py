"""What a recipe is: the checked parameters of an estimator, and what follows from them."""

from __future__ import annotations

from typing import Any, Protocol

from pellucid.models.prepared_fit import Learned
from pellucid.models.reading import Reading, Rows
from pellucid.models.targets import Targets
from pellucid.nn import Chain
from pellucid.training import Lbfgs, MiniBatches, RowSource


class Recipe(Protocol):
    """Turns parameters into a chain, rows and a solver; it knows no estimator."""

    @property
    def solver(self) -> str:
        """Whether there are epochs: 'lbfgs' has none."""

    @property
    def free_settings(self) -> frozenset[str]:
        """Parameters that decide only when training ends, so that they may change on resuming."""

    def check(self, *, partial: bool, validates: bool, keeps_checkpoints: bool) -> None:
        """Raise ValueError for parameters that do not go together."""

    def chain_for(self, targets: Targets) -> Chain:
        """Return the layers and the loss."""

    def rows(self, reading: Reading, learned: Learned, draws: Any) -> tuple[Rows, int]:
        """Return the rows as the engine takes them, and the seed of dropout."""

    def solver_for(self, source: RowSource, seed: int, max_epochs: int) -> MiniBatches | Lbfgs:
        """Return how to train on these rows."""
