"""What an engine raises when training cannot go on."""

from __future__ import annotations


class NonFiniteError(ValueError):
    """A loss or a weight became NaN or infinite; the last good weights are kept.

    Attributes
    ----------
    epoch : int
        Counted from 0.
    step : int
        The optimizer step, counted from 1 over the whole training.
    layer : int or None
        The place in `chain.layers` where the first non-finite value appeared; None if it was in
        the rows of X, in the targets or in the loss.
    cause : str
        What most likely made it so.
    """

    def __init__(self, epoch: int, step: int, layer: int | None, cause: str) -> None:
        self.epoch = epoch
        self.step = step
        self.layer = layer
        self.cause = cause
        place = "" if layer is None else f", in layer {layer}"
        super().__init__(
            "Solver produced non-finite parameter weights. The input data may contain large "
            "values and need to be preprocessed. "
            f"It happened in epoch {epoch}, at step {step}{place}. Likely cause: {cause}"
        )

    def __reduce__(self) -> tuple[type[NonFiniteError], tuple[int, int, int | None, str]]:
        """Let the error cross between processes with its attributes."""
        return type(self), (self.epoch, self.step, self.layer, self.cause)
