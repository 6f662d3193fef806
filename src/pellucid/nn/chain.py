"""A chain of layers and a loss whose intermediate values and gradients are all accessible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.custom_loss import CustomLoss, LossCallable
from pellucid.nn.layer import Layer
from pellucid.nn.linear import Linear
from pellucid.nn.losses import Loss, get_loss
from pellucid.nn.parameters import Entry, Layout, Parameters
from pellucid.nn.random import Ints, Purpose, Stream, check_seed
from pellucid.nn.residual import Add, Residual, add_backward, written_out


@dataclass(frozen=True)
class Trace:
    """All values of one forward pass.

    `values[0]` is X (m, fan_in) and `values[i + 1]` is the output of `layers[i]`.
    """

    layers: tuple[Layer, ...]
    values: tuple[Array, ...]

    @property
    def scores(self) -> Array:
        """Output of the last layer, (m, K)."""
        return self.values[-1]

    @property
    def z(self) -> tuple[Array, ...]:
        """Z_1 … Z_L, the outputs of the linear layers."""
        return tuple(self.values[i + 1] for i in _linear_places(self.layers))

    @property
    def a(self) -> tuple[Array, ...]:
        """A_0 … A_L: X, then each Z_l after its activations; A_L are the scores."""
        return (*(self.values[i] for i in _linear_places(self.layers)), self.scores)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of A_0 … A_L, such as (32, 100), (32, 50), (32, 10)."""
        return tuple(tuple(a.shape) for a in self.a)

    def __str__(self) -> str:
        return " → ".join(str(shape) for shape in self.shapes)


@dataclass(frozen=True)
class Gradients:
    """All gradients of one backward pass.

    `deltas[i]` is ∂loss/∂`trace.values[i]` and has its shape; `parameters` holds every dW and db
    by name.
    """

    layers: tuple[Layer, ...]
    parameters: Parameters
    deltas: tuple[Array, ...]

    @property
    def dz(self) -> tuple[Array, ...]:
        """dZ_1 … dZ_L."""
        return tuple(self.deltas[i + 1] for i in _linear_places(self.layers))

    @property
    def da(self) -> tuple[Array, ...]:
        """dA_0 … dA_L; dA_0 is the gradient of the input, dA_L the gradient of the scores."""
        return (*(self.deltas[i] for i in _linear_places(self.layers)), self.deltas[-1])


def _linear_places(layers: Sequence[Layer]) -> list[int]:
    return [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]


@dataclass(frozen=True, init=False)
class Chain:
    """A chain of layers and a loss. It stores no parameters; every method takes them.

    Parameters
    ----------
    layers : sequence of layers
        `Linear`, `Activation`, `Dropout`, `RMSNorm`, … from the input to the scores. A `Residual`
        is expanded into its layers and an `Add`. The link from scores to predictions (softmax,
        logistic, …) is part of the loss, not a layer.
    loss : str, Loss, CustomLoss or callable
        A name in `LOSSES`, a `Loss` with its parameter, or a custom function (see `CustomLoss`).

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn import Activation, Linear, Chain
    >>> chain = Chain([Linear(5), Activation("tanh"), Linear(2)], "softmax_cross_entropy")
    >>> params = chain.initialize(fan_in=3, seed=0)
    >>> trace = chain.forward(params, np.ones((4, 3)))
    >>> print(trace)
    (4, 3) → (4, 5) → (4, 2)
    >>> gradients = chain.backward(params, trace, np.array([0, 1, 1, 0]))
    >>> gradients.parameters["2.W"].shape
    (5, 2)
    """

    layers: tuple[Layer, ...]
    loss: Loss | CustomLoss

    def __init__(
        self,
        layers: Sequence[Layer | Residual],
        loss: str | Loss | CustomLoss | LossCallable,
    ) -> None:
        object.__setattr__(self, "layers", written_out(layers))
        object.__setattr__(self, "loss", get_loss(loss))

    @property
    def drops(self) -> bool:
        """Whether any layer applies dropout, so that the samples of `sample_scores` differ."""
        return any(layer.drops for layer in self.layers)

    def widths(self, fan_in: int) -> tuple[int, ...]:
        """Return the width of every value of a trace, for inputs of width `fan_in`."""
        if not isinstance(fan_in, int | np.integer) or isinstance(fan_in, bool):
            raise TypeError(
                f"fan_in, the number of columns of X, must be an integer, got {fan_in!r}"
            )
        if fan_in < 1:
            raise ValueError(f"fan_in must be at least 1, got {fan_in!r}")
        widths = [int(fan_in)]
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Add):
                _check_add(i, layer.back, widths)
            widths.append(layer.output_width(widths[-1]))
        return tuple(widths)

    def layout(self, fan_in: int) -> Layout:
        """Return the position of each parameter in the flat buffer for inputs of width `fan_in`."""
        entries, offset = [], 0
        for i, (layer, width) in enumerate(zip(self.layers, self.widths(fan_in), strict=False)):
            for name, (shape, role) in layer.parameter_shapes(width).items():
                entries.append(Entry(f"{i}.{name}", shape, offset, role))
                offset += entries[-1].size
        return Layout(tuple(entries))

    def fan_out(self, fan_in: int) -> int:
        """Return the number of scores per example."""
        return self.widths(fan_in)[-1]

    def initialize(self, fan_in: int, seed: int, dtype: Any = np.float64) -> Parameters:
        """Return initial parameters. Equal seeds give equal parameters.

        Parameters
        ----------
        fan_in : int
            Number of columns of X.
        seed : int
            At least 0 and below 2**64.
        dtype : float64 or float32
            Numbers are drawn in float64 and rounded to this type.
        """
        seed = check_seed(seed)
        parameters = Parameters.zeros(self.layout(fan_in), dtype)
        for i, (layer, width) in enumerate(zip(self.layers, self.widths(fan_in), strict=False)):
            stream = Stream(seed, Purpose.INITIALIZATION, layer=i)
            for name, value in layer.initial_parameters(width, stream).items():
                parameters[f"{i}.{name}"][...] = value
        return parameters

    def initialize_from_data(self, X: Array, seed: int, dtype: Any = np.float64) -> Parameters:
        """Return initial parameters adapted to the training rows X (n, fan_in), layer by layer.

        Each layer chooses its parameters (`Layer.fitted_parameters`) from its own inputs, the
        outputs of the layers before it. Every unit of a `Linear` gets pre-activations with a
        standard deviation of 1 and a bias within their range, whatever the scale of its
        initializer. A few thousand rows are enough.

        Parameters
        ----------
        X : array of shape (n, fan_in)
        seed : int
            At least 0 and below 2**64.
        dtype : float64 or float32
            Parameters are computed in float64 and rounded to this type.
        """
        seed, X = check_seed(seed), np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or len(X) == 0:
            raise ValueError(f"X must have shape (n, fan_in) with rows, got {X.shape}")
        parameters = Parameters.zeros(self.layout(X.shape[1]))
        values: list[Array] = [X]
        for i, layer in enumerate(self.layers):
            stream = Stream(seed, Purpose.INITIALIZATION, layer=i)
            for name, value in layer.fitted_parameters(values[-1], stream).items():
                parameters[f"{i}.{name}"][...] = value
            values.append(self._output(i, self._arrays_of(parameters, i), values, PREDICTION))
        rounded = Parameters.zeros(parameters.layout, dtype)
        rounded.flat[:] = parameters.flat
        return rounded

    def forward(self, params: Parameters, X: Array, context: Context = PREDICTION) -> Trace:
        """Return all values of the chain for X (m, fan_in), in the precision of `params`.

        Z_l = A_{l-1} W_l + b_l, A_l = φ_l(Z_l), A_0 = X.
        """
        X = namespace(params.flat).asarray(X, dtype=params.flat.dtype)
        if X.ndim != 2:
            raise ValueError(f"X must have shape (m, fan_in), got {X.shape}")
        values = [X]
        for i in range(len(self.layers)):
            values.append(self._output(i, self._arrays_of(params, i), values, context))
        return Trace(self.layers, tuple(values))

    def sample_scores(self, params: Parameters, X: Array, n_samples: int, seed: int = 0) -> Array:
        """Return the scores (n_samples, m, K) of random sub-networks: Monte-Carlo dropout.

        Dropout is active as in training, with new masks for each sample. All other layers behave
        as in prediction. The mean over samples is the prediction and the standard deviation is its
        uncertainty (Y. Gal and Z. Ghahramani, "Dropout as a Bayesian approximation", 2016).
        """
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples!r}")
        contexts = [Context(sampling=True, seed=seed, step=s) for s in range(1, n_samples + 1)]
        samples = [self.forward(params, X, context).scores for context in contexts]
        return namespace(samples[0]).stack(samples)

    def loss_value(
        self, trace_or_scores: Trace | Array, targets: Array, sample_weight: Array | None = None
    ) -> float:
        """Return (1/m) Σ_i w_i l_i, the mean weighted loss of the m rows.

        `sample_weight` (m,) should have mean 1 over the whole training set.
        """
        is_trace = isinstance(trace_or_scores, Trace)
        scores = trace_or_scores.scores if is_trace else trace_or_scores
        return self.loss.mean(scores, targets, sample_weight)

    def backward(
        self,
        params: Parameters,
        trace: Trace,
        targets: Array,
        sample_weight: Array | None = None,
        context: Context = PREDICTION,
    ) -> Gradients:
        """Return the gradient of `loss_value` with respect to every parameter and every value.

        dZ_l = dA_l ⊙ φ_l'(Z_l);  dA_{l-1} = dZ_l W_lᵀ;  dW_l = A_{l-1}ᵀ dZ_l;  db_l = Σ_rows dZ_l.

        `context` must be the context of the forward pass. The gradient of statistics is 0.
        """
        delta = self.loss.mean_gradient(trace.scores, targets, sample_weight)
        deltas = [delta]
        skipped: dict[int, Array] = {}  # index of a value -> its gradient through an Add
        by_name = {
            entry.name: namespace(params.flat).zeros_like(params[entry.name])
            for entry in params.layout.entries
            if entry.role == "statistic"
        }
        for i in reversed(range(len(self.layers))):
            layer, x, y = self.layers[i], trace.values[i], trace.values[i + 1]
            if isinstance(layer, Add):
                place, earlier = i - layer.back, add_backward(delta)[1]
                skipped[place] = skipped[place] + earlier if place in skipped else earlier
            delta, gradients = layer.backward(
                self._arrays_of(params, i), delta, x, y, replace(context, layer=i)
            )
            if i in skipped:
                delta = delta + skipped.pop(i)
            deltas.append(delta)
            by_name.update({f"{i}.{name}": gradient for name, gradient in gradients.items()})
        packed = Parameters.pack(params.layout, by_name)
        return Gradients(self.layers, packed, tuple(reversed(deltas)))

    def updated_statistics(
        self, params: Parameters, trace: Trace, context: Context
    ) -> dict[str, Array]:
        """Return all parameters of role "statistic", by name, after a step with this trace."""
        return {
            f"{i}.{name}": value
            for i, layer in enumerate(self.layers)
            for name, value in layer.updated_statistics(
                self._arrays_of(params, i), trace.values[i], replace(context, layer=i)
            ).items()
        }

    def active_rows(self, trace: Trace) -> dict[str, Ints]:
        """Return the rows of each embedding table, by name, that a step with this trace changes."""
        return {
            f"{i}.{name}": rows
            for i, layer in enumerate(self.layers)
            for name, rows in layer.active_rows(trace.values[i]).items()
        }

    def _output(
        self, i: int, arrays: dict[str, Array], values: Sequence[Array], context: Context
    ) -> Array:
        """Return the output of `layers[i]`, given all values before it."""
        layer, context = self.layers[i], replace(context, layer=i)
        if isinstance(layer, Add):
            return layer.forward(arrays, values[i], context, values[i - layer.back])
        return layer.forward(arrays, values[i], context)

    def _arrays_of(self, params: Parameters, i: int) -> dict[str, Array]:
        """Return the parameters of `layers[i]` under the names that the layer uses."""
        prefix = f"{i}."
        return {
            name.removeprefix(prefix): params[name]
            for name in params.names()
            if name.startswith(prefix)
        }


def _check_add(place: int, back: int, widths: list[int]) -> None:
    """Raise if an Add reaches back before the input or if its two values differ in width."""
    if back > place:
        raise ValueError(f"layer {place}, Add(back={back}), reaches back before the input")
    if widths[place] != widths[place - back]:
        raise ValueError(
            f"layer {place} adds a value of width {widths[place - back]} to one of width "
            f"{widths[place]}: the layers of a Residual must end with the width they start from, "
            f"here {widths[place - back]}"
        )
