"""How a fit of a `Network` takes a `ParquetStream` in place of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.models.perceptron.labels import balanced_factors, class_factors, is_balanced
from pellucid.models.streams import OpenStream, StreamRows, open_stream

if TYPE_CHECKING:
    from pellucid.models.network_fit import NetworkFit

_CROSS_ENTROPIES = ("softmax_cross_entropy", "logistic_cross_entropy")


def take_stream(fit: NetworkFit) -> OpenStream | None:
    """Open the stream that is a fit's X, and put a few rows of its form in the place of X and y.

    Where the buffer takes all rows, they are the rows themselves, and there is no stream any more.

    Raises
    ------
    ValueError
        The fit asks for what a stream cannot give, or the stream is wrong.
    """
    for name in ("rows", "rows_val", "record"):
        if getattr(fit, name) is not None:
            instead = "pass X_val and y_val" if name == "rows_val" else f"leave {name} out"
            raise ValueError(
                f"{name} needs all rows in memory, which a stream never has; {instead}"
            )
    stream = fit.X
    labels = fit.network.chain.loss.name in _CROSS_ENTROPIES and len(stream.targets) == 1
    opened = open_stream(
        stream,
        fit.y,
        fit.sample_weight,
        labels=labels,
        counts=fit.class_weight is not None,
        classes=fit.classes,
    )
    if opened.fits_in_memory:
        fit.X, fit.y, fit.sample_weight = opened.table()
        if labels and fit.classes is None:
            fit.classes = stream.classes
        return None
    fit.X, fit.y = opened.form()
    return opened


def rows_of(fit: NetworkFit, opened: OpenStream) -> StreamRows:
    """Return the rows of an open stream, once the fit knows what y means."""
    network, targets = fit.network, fit.targets
    factors = None
    if fit.class_weight is not None:
        if opened.summary is None:
            raise ValueError(
                "class_weight needs labels, one a row, got a target of numbers or of several "
                "columns; use the column sample_weight of the stream"
            )
        if is_balanced(fit.class_weight):
            factors = balanced_factors(opened.summary.weights)
        else:
            factors = class_factors(fit.class_weight, opened.summary.labels)
    return StreamRows(
        opened,
        lambda y: targets.encode(y, network.dtype, "the target"),
        batch_size=int(fit.batch_size),
        shuffle=fit.shuffle,
        seed=fit.seed,
        class_factors=factors,
    )
