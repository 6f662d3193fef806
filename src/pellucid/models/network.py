"""A network for people who think in layers: build, fit, predict, look inside, save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score

from pellucid import nn
from pellucid.engine.batch import dense
from pellucid.engine.plan import Precision
from pellucid.engine.sampling import Spread
from pellucid.engine.statistics import StepStatistics
from pellucid.inspection import html
from pellucid.inspection.description import NetworkDescription, describe_network
from pellucid.models.default_engine import ENGINES
from pellucid.models.exchange.exchange import NetworkExchange
from pellucid.models.inputs import checked_weights
from pellucid.models.network_fit import NetworkFit, check_targets, checked_table
from pellucid.models.network_state import network_from_state, network_to_state
from pellucid.models.network_targets import Targets, learn_targets
from pellucid.models.perceptron.prediction import check_finite
from pellucid.models.saving import Arrays, save, saveable
from pellucid.nn.context import PREDICTION, Context
from pellucid.training import Recording, ReplayedStep


@saveable
class Network(NetworkExchange):
    """A chain of layers with a loss, its parameters, and what y means to it.

    Parameters
    ----------
    layers : sequence of layers
        Of `pellucid.nn`, or your own: `Linear`, `Activation`, `Dropout`, … from the input to the
        scores. Softmax and logistic belong to the loss and are no layer.
    loss : str or Loss
        A name in `nn.LOSSES`, or a loss with its parameter: `nn.Loss("huber", 0.5)`.
    dtype : {"float32", "float64", "bfloat16"}
        The precision of parameters and arithmetic. "bfloat16" is float32, but the operands of the
        products of `Linear` are rounded to bfloat16 in training; the native engine needs a
        processor with AVX-512 BF16 for it.
    engine : {"native", "reference"}
        "native" is the compiled engine. "reference" runs the formulas of `nn` in NumPy: slow, and
        what layers of your own need.

    Attributes
    ----------
    chain : nn.Chain
        The layers and the loss without numbers: every formula, forward and backward.
    precision : str
        The `dtype` that was asked for.
    dtype : numpy.dtype
        That of the parameters.
    history : dict
        Lists with one number an epoch: "loss", "validation_loss" where rows were held out, and
        "seconds" in the engine.
    statistics : list of StepStatistics
        What `fit(..., statistics_every=…)` measured; not kept in files.
    classes_ : ndarray of shape (n_classes,), or None
        The labels, in the order of the columns of `predict_proba`; None where y holds numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from pellucid import Network
    >>> from pellucid.nn import Activation, Adam, Linear
    >>> X, y = load_iris(return_X_y=True)
    >>> network = Network([Linear(16), Activation("tanh"), Linear(3)], "softmax_cross_entropy")
    >>> network = network.fit(X, y, optimizer=Adam(1e-2), epochs=50, batch_size=16)
    >>> network.evaluate(X, y)["accuracy"] > 0.95
    True
    >>> network.parameters["0.W"].shape
    (4, 16)
    """

    def __init__(
        self,
        layers: Sequence[nn.Layer | nn.Residual],
        loss: str | nn.Loss,
        *,
        dtype: Any = "float32",
        engine: str = "native",
    ) -> None:
        self.chain = nn.Chain(layers, loss)
        is_numpy = isinstance(dtype, np.dtype) or (
            isinstance(dtype, type) and issubclass(dtype, np.floating)
        )
        precision: Any = np.dtype(dtype).name if is_numpy else dtype
        if precision not in get_args(Precision):
            names = ", ".join(get_args(Precision))
            raise ValueError(f"dtype must be one of {names}, got {dtype!r}")
        if engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
        self.precision: Precision = precision
        self.dtype: np.dtype[Any] = np.dtype("float32" if precision == "bfloat16" else precision)
        self.engine = engine
        self.history: dict[str, list[float]] = {}
        self.statistics: list[StepStatistics] = []
        self._parameters: nn.Parameters | None = None
        self._fan_in: int | None = None
        self._targets: Targets | None = None
        self._recording: Recording | None = None

    def initialize(self, fan_in: int, seed: int = 0) -> Self:
        """Draw fresh parameters for tables of `fan_in` columns; what was learned is forgotten.

        `fit` does it by itself. After a call of yours, the next `fit` starts from these.
        """
        return self._start_over(self.chain.initialize(fan_in, seed, self.dtype), fan_in)

    def initialize_from_data(self, X: Any, seed: int = 0) -> Self:
        """Choose parameters that suit the rows X (n, fan_in); see `nn.Chain`.

        Every unit of a `Linear` starts with pre-activations of standard deviation 1. A few thousand
        rows are enough. The next `fit` starts from these.
        """
        table = dense(checked_table(X), np.dtype(np.float64))
        parameters = self.chain.initialize_from_data(table, seed, self.dtype)
        return self._start_over(parameters, table.shape[1])

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        optimizer: nn.Optimizer | None = None,
        epochs: int = 20,
        batch_size: int = 128,
        schedule: nn.Schedule | str | None = None,
        weight_decay_schedule: nn.Schedule | str | None = None,
        dropout_schedule: nn.Schedule | str | None = None,
        clipping: nn.Clipping | None = None,
        l2_penalty: float = 0.0,
        learning_rate_factors: Mapping[str, float] = MappingProxyType({}),
        sample_weight: Any = None,
        class_weight: Any = None,
        classes: Any = None,
        rows: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        rows_val: Any = None,
        patience: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        n_threads: int | None = None,
        warm_start: bool = False,
        record: int | None = None,
        statistics_every: int | None = None,
        callbacks: Any = None,
        verbose: bool = False,
        checkpoint_path: str | Path | None = None,
        checkpoint_every: int = 1,
    ) -> Self:
        """Train; a second call starts over, unless `warm_start` says to go on.

        Where parameters start from: from `initialize` or `initialize_from_data` if that was called
        since the last fit; with `warm_start` from those there are; else from fresh ones, drawn with
        `seed`. So the same call gives the same network, to the bit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, fan_in), or ParquetStream
            Numbers of any type, read where they lie; or files with more rows than memory holds,
            which name the columns of y and of the weights.
        y : array-like of shape (n,) or (n, K), optional
            Labels of any kind for a cross-entropy (or shares, or zeros and ones, in K columns);
            numbers for the other losses. Not with a stream, as sample_weight.
        optimizer : Optimizer
            `Adam(1e-3)` by default; or `AdamW`, `SGD`, `RMSProp`, `Adagrad` of `pellucid.nn`.
        epochs : int
            Passes over the rows.
        batch_size : int
            Rows in a step.
        schedule, weight_decay_schedule, dropout_schedule : Schedule or str
            What the learning rate, the decay of `AdamW` and the share of every `Dropout` are
            multiplied by from step to step: `nn.OneCycle()`, or a name in `nn.SCHEDULES`.
        clipping : Clipping
            `nn.ClipByGlobalNorm(1.0)` and the like.
        l2_penalty : float
            α ≥ 0: a step of r rows adds α/(2r)·Σ‖W‖² to the mean loss, as scikit-learn's `alpha`.
        learning_rate_factors : mapping
            What the learning rate of some parameters is multiplied by: `{"bias": 0.1}`; see
            `nn.Layout.learning_rate_factors`.
        sample_weight : array-like of shape (n,)
            Of each row, at least 0. Weights are divided by their mean over all rows trained on, not
            batch by batch, so that a weight of 2 counts as two rows wherever its row falls.
        class_weight : dict or "balanced"
            A weight for each label, multiplied with `sample_weight`. "balanced" gives all labels
            the same total weight.
        classes : array-like
            All labels there are, where y may lack some.
        rows : array-like of int, or mask (n,) of bool
            Train on these rows of X only, such as those of a fold. By default on all that
            `rows_val` does not hold out.
        X_val, y_val, sample_weight_val : array-like
            Other rows, whose mean loss is taken after each epoch. In the end the network has the
            parameters with the lowest, however training ends. Class weights do not count here.
        rows_val : array-like of int, or mask (n,) of bool
            In place of `X_val`: these rows of X.
        patience : int
            Stop after so many epochs without a lower validation loss; None does not stop early.
        shuffle : bool
            Whether each epoch takes the rows in a new order.
        seed : int
            Of fresh parameters, row orders and dropout; at least 0 and below 2**64.
        n_threads : int
            By default as many processors as there are and are of use. The result does not depend
            on it.
        warm_start : bool
            Go on from the parameters there are (of an earlier fit, of a file) and the labels known.
            The optimizer, the schedule and the row orders start afresh; `history` goes on.
        record : int
            Keep a checkpoint every so many epochs, so that `replay` can run any step again. A
            checkpoint takes three times the memory of the parameters with Adam.
        statistics_every : int
            Measure every so many steps: norms of gradients, updates and weights, silent units, and
            how pre-activations are distributed; they are in `statistics`.
        callbacks : list of callbacks
            `pellucid.ProgressBar()`, functions of an `EpochReport` and objects with `on_start`,
            `on_epoch_end` and `on_end`: docs/callbacks.md. One that returns True ends training.
        verbose : bool
            Print a line an epoch.
        checkpoint_path : str or Path
            A folder that keeps the state of the training, for `resume`: before the first epoch,
            then after every `checkpoint_every` epochs and the last one, in files that are there in
            full or not at all. The newest three are kept; those of an earlier training are
            replaced. If one cannot be written in the middle of training, that is warned of once
            and training goes on.
        checkpoint_every : int
            A checkpoint takes the time of writing three times the parameters with Adam, four times
            with rows to validate on, and of flushing them to the disk.

        Returns
        -------
        self
            Ctrl-C ends training with a warning and leaves the network usable, with the parameters
            reached, or with the best ones where there is a validation loss.

        Raises
        ------
        ValueError
            An input or a parameter is wrong; the network is then as it was.
        NonFiniteError
            A `ValueError`: the loss became NaN or infinite. The network has the parameters of the
            last good epoch; if there was none, it is as it was.
        TypeError
            The native engine does not know a layer: make the network with `engine="reference"`.
        ModelFileError
            `checkpoint_path` cannot be written to; nothing was trained.
        """
        options = dict(locals())
        return self._run(NetworkFit(options.pop("self"), **options))

    def resume(
        self,
        X: Any,
        y: Any = None,
        *,
        checkpoint_path: str | Path,
        epochs: int | None = None,
        **options: Any,
    ) -> Self:
        """Go on with a fit that was killed, or that is to be longer, from its newest checkpoint.

        `fit(epochs=10)` and `resume(epochs=10)` give, to the bit, what `fit(epochs=20)` gives on
        the same machine, in whatever process; the network may be one newly made. A training that
        has reached its end is only read. Steps before the checkpoint cannot be replayed, and their
        statistics are not kept.

        Parameters
        ----------
        X, y : array-like, or X a ParquetStream
            Those of the fit.
        checkpoint_path : str or Path
            Its folder, which gets the next checkpoints too.
        epochs : int
            So many more; by default those that were left. With a schedule, which is made for the
            length of the whole training, no more than were left.
        **options
            All other parameters of `fit`, as they were. Only `patience`, `n_threads`, `verbose`,
            `callbacks`, `record`, `statistics_every` and `checkpoint_every` may differ;
            `warm_start` says nothing here.

        Returns
        -------
        self

        Raises
        ------
        ModelFileError
            The folder holds no checkpoint that is whole. A damaged one is warned of, and the one
            before is taken.
        ValueError
            The checkpoint is of another training: other layers, settings, or data. Tables of up to
            16 MiB are compared in full, of larger ones so much in evenly spaced rows; functions of
            your own by their names.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from pellucid import Network
        >>> from pellucid.nn import Linear
        >>> X, y = load_iris(return_X_y=True)
        >>> folder = tempfile.mkdtemp()
        >>> network = Network([Linear(3)], "softmax_cross_entropy")
        >>> network = network.fit(X, y, epochs=10, checkpoint_path=folder)
        >>> network = Network([Linear(3)], "softmax_cross_entropy")
        >>> network = network.resume(X, y, epochs=10, checkpoint_path=folder)
        >>> whole = Network([Linear(3)], "softmax_cross_entropy").fit(X, y, epochs=20)
        >>> bool((network.parameters.flat == whole.parameters.flat).all())
        True
        """
        known = {field.name for field in fields(NetworkFit)} - {"network", "resumes"}
        if unknown := [name for name in options if name not in known]:
            raise TypeError(f"{unknown[0]!r} is no parameter of Network.fit")
        fit = NetworkFit(
            self, X, y, epochs=epochs, checkpoint_path=checkpoint_path, resumes=True, **options
        )
        return self._run(fit)

    def _run(self, fit: NetworkFit) -> Self:
        outcome = None
        try:
            outcome = fit.run()
        finally:
            fit.finish(outcome, stacklevel=4)
        return self

    @property
    def parameters(self) -> nn.Parameters:
        """All parameters: `parameters["0.W"]` is the weight of layer 0, a view to read and write.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `initialize` or `fit`.
        """
        if self._parameters is None:
            raise NotFittedError(
                "this Network has no parameters yet; call fit, or initialize(fan_in)"
            )
        return self._parameters

    @property
    def classes_(self) -> NDArray[Any] | None:
        """The labels, sorted; None where y holds numbers."""
        return self._fitted_targets().classes

    def forward(self, X: Any, context: Context = PREDICTION) -> nn.Trace:
        """Return every value that the rows X take on their way through the layers.

        These are the plain formulas of `nn`, at the parameters there are.
        """
        parameters = self.parameters
        if not isinstance(context, Context):
            raise TypeError(f"context must be a Context such as nn.Context(), got {context!r}")
        table = dense(checked_table(X, self._fan_in), self.dtype)
        return self.chain.forward(parameters, table, context)

    def scores(self, X: Any) -> NDArray[Any]:
        """Return the output of the last layer, (n, K), before the link of the loss."""
        parameters = self.parameters
        table = checked_table(X, self._fan_in)
        scores: NDArray[Any] = self._engine.predictor(self.chain, parameters, table.shape[1])(table)
        check_finite(scores, parameters, table)
        return scores

    def predict(self, X: Any, n_samples: int | None = None, seed: int = 0) -> Any:
        """Return the most probable label of each row, or its numbers, in the form that y had.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, fan_in)
        n_samples : int, optional
            Ask so many random sub-networks, that `Dropout` leaves, in place of the whole one:
            Monte-Carlo dropout (Y. Gal and Z. Ghahramani, 2016).
        seed : int
            Of these; the sub-networks are those of `nn.Chain.sample_scores`.

        Returns
        -------
        ndarray, or with `n_samples` a pair of them
            The mean over the samples, or the label whose mean probability is the highest; and the
            standard deviation over the samples of these numbers, or of that label's probability.

        Raises
        ------
        ValueError
            X is wrong, or `n_samples` is given and the network drops nothing.
        """
        targets = self._fitted_targets()
        if n_samples is None:
            return targets.decode(self._predictions(X))
        mean, std = self._spread(X, n_samples, seed)
        return targets.decode(mean), targets.spread_of_decoded(mean, std)

    def predict_proba(self, X: Any, n_samples: int | None = None, seed: int = 0) -> Any:
        """Return the probability of each label, (n, n_classes), in the order of `classes_`.

        Where a row has several labels, each column is the probability of its own. With
        `n_samples`, as in `predict`, the mean and the standard deviation over the samples.

        Raises
        ------
        AttributeError
            y holds numbers, not labels.
        ValueError
            As in `predict`.
        """
        targets = self._fitted_targets()
        if not targets.has_accuracy:
            raise AttributeError(
                f"predict_proba needs a cross-entropy; the loss is {self.chain.loss.name}. Use "
                "predict"
            )
        if n_samples is None:
            return targets.with_both_labels(self._predictions(X))
        mean, std = self._spread(X, n_samples, seed)
        if targets.kind == "two labels":
            std = np.hstack([std, std])
        return targets.with_both_labels(mean), std

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """Return the mean loss of the rows, and what is easier to read.

        Returns
        -------
        dict
            "loss", and "accuracy" where predictions are labels (all of them right, where a row has
            several) or "r2" where they are numbers. All are weighted.
        """
        targets = self._fitted_targets()
        scores = self.scores(X)
        check_targets("y", y, scores)
        wanted = targets.encode(y, self.dtype)
        weights = checked_weights(sample_weight, wanted, None).values
        with np.errstate(over="ignore"):
            loss = float(self.chain.loss_value(scores, wanted, weights))
            predictions = self.chain.loss.link(scores)
        if targets.has_accuracy:
            return {"loss": loss, "accuracy": targets.accuracy(predictions, wanted, weights)}
        if wanted.shape != predictions.shape or len(wanted) < 2:
            return {"loss": loss}
        return {"loss": loss, "r2": float(r2_score(wanted, predictions, sample_weight=weights))}

    def describe(self, fan_in: int | None = None) -> NetworkDescription:
        """Return the layers with shapes, parameters, memory and FLOPs; `print` it to read it.

        Parameters
        ----------
        fan_in : int, optional
            Columns of X, where the network does not know them yet.
        """
        fan_in = self._fan_in if fan_in is None else fan_in
        if fan_in is None:
            raise ValueError("describe needs fan_in, the number of columns of X, before fit")
        return describe_network(self.chain, fan_in, self.dtype)

    def replay(self, step: int) -> ReplayedStep:
        """Run a step of the last fit again, counted from 1: its rows, values, gradients, update.

        It needs `fit(..., record=1)`, and X and y as they were. See `training.replay`.
        """
        if self._recording is None:
            raise ValueError(
                "there is nothing to replay: train with fit(..., record=1), which keeps a "
                "checkpoint each epoch"
            )
        return self._recording.replay(step)

    def save(self, path: str | Path) -> None:
        """Write the network to one file, which `pellucid.load` reads.

        Raises
        ------
        TypeError
            A layer or the loss is your own, which a file without code cannot hold.
        ModelFileError
            The file cannot be written; an earlier file stays as it was.
        """
        save(self, path)

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: the layers, or how they are written before there is a fit."""
        if self._fan_in is None:
            return html.card("Network", html.table((), [(repr(self),)], frozenset({0})))
        return html.card("Network", self.describe().html_table())

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.chain.layers))
        return f"Network([{layers}], {self.chain.loss.name!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what only this process can use: the recording."""
        return {**vars(self), "_recording": None}

    @property
    def _engine(self) -> Any:
        return ENGINES[self.engine]

    def _start_over(self, parameters: nn.Parameters, fan_in: int) -> Self:
        self._parameters, self._fan_in = parameters, fan_in
        self._targets, self._recording, self.history, self.statistics = None, None, {}, []
        return self

    def _starting_parameters(self, fan_in: int, seed: int, warm_start: bool) -> nn.Parameters:
        """Return what a fit on a table of `fan_in` columns trains, a copy of its own."""
        was_fitted = self._targets is not None
        if self._parameters is None or (was_fitted and not warm_start):
            return self.chain.initialize(fan_in, seed, self.dtype)
        if fan_in != self._fan_in:
            raise ValueError(
                f"X has {fan_in} columns, but the network was "
                f"{'fitted on' if was_fitted else 'initialized for'} {self._fan_in}; "
                f"{'leave out warm_start' if was_fitted else 'initialize it'} to start over"
            )
        return self._parameters.copy()

    def _learn_targets(self, y: Any, fan_in: int, classes: Any, warm_start: bool) -> Targets:
        if warm_start and self._targets is not None:
            self._targets.check_classes(classes)
            return self._targets
        return learn_targets(y, self.chain.loss, self.chain.fan_out(fan_in), classes)

    def _take_over(self, fit: NetworkFit) -> None:
        """Become what a fit has learned."""
        self.history = fit.whole_history
        self._parameters, self._fan_in = fit.parameters, int(fit.trainer.data.X.shape[1])
        self._targets, self._recording = fit.targets, fit.recording
        self.statistics = fit.statistics

    def _fitted_targets(self) -> Targets:
        if self._targets is None:
            raise NotFittedError("this Network is not fitted yet; call fit first")
        return self._targets

    def _predictions(self, X: Any) -> NDArray[Any]:
        """Return the scores of X after the link, (n, K)."""
        with np.errstate(over="ignore"):
            predictions: NDArray[Any] = self.chain.loss.link(self.scores(X))
        return predictions

    def _spread(self, X: Any, n_samples: int, seed: int) -> Spread:
        """Return mean and standard deviation, (n, K) each, of sampled scores after the link."""
        parameters, table = self.parameters, checked_table(X, self._fan_in)
        predictor = self._engine.predictor(self.chain, parameters, table.shape[1])
        spread: Spread = predictor.sample(table, n_samples, seed, link=self.chain.loss.link)
        check_finite(spread.std, parameters, table)
        return spread

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        self._fitted_targets()
        return network_to_state(self)

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        network: Self = network_from_state(cls, state, arrays)
        return network
