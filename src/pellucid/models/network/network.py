"""`Network`: layers, loss and optimizer of your choice, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils._tags import ClassifierTags, RegressorTags, Tags
from sklearn.utils.metaestimators import available_if

from pellucid import nn
from pellucid.engine.batch import dense
from pellucid.engine.contract import Engine
from pellucid.engine.engines import ENGINES
from pellucid.engine.statistics import StepStatistics
from pellucid.inspection import html
from pellucid.inspection.description import NetworkDescription, describe_network
from pellucid.models.call import Call
from pellucid.models.exchange.exchange import NetworkExchange
from pellucid.models.fit_data import FitData
from pellucid.models.inputs import (
    as_engine_takes_it,
    checked_table,
    normalized_weights,
    raw_weights,
)
from pellucid.models.network.recipe import NetworkRecipe, dtype_of, precision_of, seed_of
from pellucid.models.network.state import network_from_state, network_to_state
from pellucid.models.network.training import CROSS_ENTROPIES, NetworkTraining
from pellucid.models.predicting import PredictsProbabilities
from pellucid.models.prediction import fitted_scores
from pellucid.models.prepared_fit import undo_of
from pellucid.models.saving import Arrays, saveable
from pellucid.models.targets import Targets
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.random import check_seed
from pellucid.training import ReplayedStep

_EMPTY: Mapping[str, float] = {}


def _tells_classes(network: Network) -> bool:
    """Return whether the loss is a cross-entropy; raise AttributeError where it is not."""
    if not network._answers_labels():
        chain = network._chain
        name = network._loss_name() if chain is None else chain.loss.name
        raise AttributeError(
            f"predict_proba needs a cross-entropy; the loss is {name}. Use predict"
        )
    return True


@saveable
class Network(NetworkExchange, NetworkTraining):
    """Network of the layers, the loss and the optimizer that you choose.

    It is a classifier if the loss is a cross-entropy, and a regressor otherwise.

    Parameters
    ----------
    layers : sequence of layers
        Layers of `pellucid.nn`, or your own, from the input to the scores: `Linear`, `Activation`,
        `Dropout`, … Softmax and the logistic function belong to the loss.
    loss : str, nn.Loss, nn.CustomLoss or callable
        A name in `nn.LOSSES`, a loss with its parameter such as `nn.Loss("huber", 0.5)`, or your
        own function: see `nn.CustomLoss`.
    optimizer : nn.Optimizer or None, default=None
        `AdamW`, `SGD`, `RMSProp`, `Adagrad` or `Adam` of `pellucid.nn`; None means
        `Adam(learning_rate_init)`.
    learning_rate_init : float, default=0.001
        Learning rate if `optimizer` is None.
    max_iter : int, default=20
        Maximum number of epochs.
    batch_size : int, default=128
        Rows of a step.
    schedule : str, nn.Schedule, dict or None, default=None
        Factor of the learning rate, step by step over `max_iter` epochs: a name in
        `pellucid.nn.SCHEDULES`, such as 'one_cycle' or 'cosine', or an object. A dict with the keys
        'learning_rate', 'weight_decay' and 'dropout' also changes the decay of `AdamW` and the
        share of every `Dropout`.
    clipping : float, nn.Clipping or None, default=None
        Maximum norm of the gradient of a step, or another way to clip it.
    alpha : float, default=0.0
        L2 penalty: a step of r rows adds alpha/(2r)·Σ‖W‖² to the mean loss, as in `MLPClassifier`.
    learning_rate_factors : mapping, default={}
        Factors of the learning rate of some parameters, such as `{"bias": 0.1}`; see
        `nn.Layout.learning_rate_factors`.
    class_weight : dict, 'balanced' or None, default=None
        Weight of each label, multiplied with `sample_weight`, for training and validation rows.
        'balanced' gives all labels the same total weight.
    scoring : str, callable or None, default=None
        Score that selects the best parameters on validation rows: None and 'loss' mean minus the
        loss, 'rmse' and 'mae' minus these errors; other names and callables are those of
        scikit-learn.
    n_iter_no_change : int, np.inf or None, default=None
        Training stops after more epochs than this in a row without improvement of the best
        validation score, or without validation rows of the best loss. None and infinity do not stop
        early.
    tol : float, default=0.0
        Minimum improvement that counts as one.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    random_state : int, RandomState instance or None, default=None
        Determines the initial parameters, the row orders and dropout. With an integer, the same
        call gives the same network, bit by bit.
    n_threads : int or None, default=None
        Maximum number of processors for training and prediction; None means all that this process
        may use. The results do not depend on it.
    warm_start : bool, default=False
        Whether `fit` goes on from the parameters of the last `fit`, or of the file the network was
        loaded from, with the same labels. The optimizer, the schedule and the row orders start
        afresh; `loss_curve_` is continued.
    dtype : {'float32', 'float64', 'bfloat16'}, default='float32'
        Precision of the parameters and the arithmetic. 'bfloat16' trains float32 parameters but
        rounds the operands of matrix products to bfloat16; with the native engine it requires a
        processor with AVX-512 BF16.
    engine : {'native', 'reference'}, default='native'
        'native' is the compiled engine. 'reference' runs the formulas of `nn` in NumPy: slow, but
        required by layers of your own.
    record : int or None, default=None
        Keep a checkpoint in memory every so many epochs, so that `replay` can run any step again.
        With Adam, a checkpoint takes three times the memory of the parameters.
    statistics_every : int or None, default=None
        Measure every so many steps: norms of gradients, updates and weights, units that are 0 for
        every row, and the distribution of pre-activations. The results are in `statistics_`.
    callbacks : list of callbacks, default=None
        `pellucid.ProgressBar()`, functions of an `EpochReport`, or `pellucid.Callback` objects. A
        callback that returns True after an epoch ends training. `clone` copies callbacks; model
        files do not contain them.
    verbose : bool or int, default=False
        Whether to print each epoch.
    checkpoint_path : str, Path or None, default=None
        Folder for checkpoints, from which `resume` goes on after the process was killed. `fit`
        keeps the newest three and replaces those of an earlier training, so each training needs a
        folder of its own. If a checkpoint cannot be written during training, a warning is issued
        and training goes on. Model files do not contain the path.
    checkpoint_every : int, default=1
        Epochs between checkpoints. One is also written before the first epoch and after the last.

    Attributes
    ----------
    chain_ : nn.Chain
        Layers and loss without numbers: every formula, forward and backward.
    parameters_ : nn.Parameters
        All parameters: `parameters_["0.W"]` is the weight of layer 0, a view to read and write.
    loss_curve_ : list of float
        Mean loss in each epoch, including the penalty.
    validation_scores_ : list of float or None
        Minus the loss, or what `scoring` says, on the validation rows after each epoch; None
        without.
    validation_loss_curve_ : list of float or None
        Loss on them, without the penalty.
    best_validation_score_ : float or None
        Maximum of `validation_scores_`.
    n_iter_ : int
        Epochs of the last fit.
    loss_ : float
        Mean loss of the last epoch, including the penalty.
    target_names_ : tuple of str or None
        The name of y, or those of its columns, if they are text.
    outcome_ : training.Outcome or None
        How the last fit ended; None after an error.
    statistics_ : list of StepStatistics
        What `statistics_every` measured. Model files do not contain it.
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the columns of `predict_proba`. Only of a classifier.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns, if the table has them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from pellucid import Network
    >>> from pellucid.nn import Activation, Linear
    >>> X, y = load_iris(return_X_y=True)
    >>> layers = [Linear(16), Activation("tanh"), Linear(3)]
    >>> network = Network(
    ...     layers, "softmax_cross_entropy", learning_rate_init=0.01, max_iter=50, batch_size=16,
    ...     random_state=0,
    ... )
    >>> network.fit(X, y).score(X, y) > 0.95
    True
    >>> network.parameters_["0.W"].shape
    (4, 16)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "layers": "no_validation",
        "loss": [str, nn.Loss, nn.CustomLoss, callable],
        "optimizer": [HasMethods(["update", "init"]), None],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "schedule": [str, HasMethods("factor"), dict, None],
        "clipping": [Interval(Real, 0, None, closed="neither"), HasMethods("apply"), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate_factors": "no_validation",
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "scoring": [str, callable, None],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
            None,
        ],
        "tol": [Interval(Real, 0, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": "no_validation",
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
        "dtype": "no_validation",
        "engine": [StrOptions(set(ENGINES))],
        "record": [Interval(Integral, 1, None, closed="left"), None],
        "statistics_every": [Interval(Integral, 1, None, closed="left"), None],
        "callbacks": [list, tuple, None],
        "verbose": ["verbose"],
        "checkpoint_path": "no_validation",
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
    }
    _widens = False
    _warns_of_length = False

    classes_: NDArray[Any]
    statistics_: list[StepStatistics]

    def __init__(
        self,
        layers: Sequence[nn.Layer | nn.Residual],
        loss: Any,
        *,
        optimizer: nn.Optimizer | None = None,
        learning_rate_init: float = 1e-3,
        max_iter: int = 20,
        batch_size: int = 128,
        schedule: Any = None,
        clipping: Any = None,
        alpha: float = 0.0,
        learning_rate_factors: Mapping[str, float] = _EMPTY,
        class_weight: Any = None,
        scoring: Any = None,
        n_iter_no_change: int | None = None,
        tol: float = 0.0,
        shuffle: bool = True,
        random_state: Any = None,
        n_threads: int | None = None,
        warm_start: bool = False,
        dtype: Any = "float32",
        engine: str = "native",
        record: int | None = None,
        statistics_every: int | None = None,
        callbacks: Any = None,
        verbose: bool = False,
        checkpoint_path: Any = None,
        checkpoint_every: int = 1,
    ) -> None:
        self.layers = layers
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.schedule = schedule
        self.clipping = clipping
        self.alpha = alpha
        self.learning_rate_factors = learning_rate_factors
        self.class_weight = class_weight
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.shuffle = shuffle
        self.random_state = random_state
        self.n_threads = n_threads
        self.warm_start = warm_start
        self.dtype = dtype
        self.engine = engine
        self.record = record
        self.statistics_every = statistics_every
        self.callbacks = callbacks
        self.verbose = verbose
        self.checkpoint_path = checkpoint_path
        self.checkpoint_every = checkpoint_every

    def initialize(self, fan_in: int) -> Self:
        """Draw parameters for tables of `fan_in` columns; what was learned is forgotten.

        `fit` does this itself. The next `fit` starts from these parameters, which you may look at
        and change.

        Parameters
        ----------
        fan_in : int
        """
        self._validate_params()
        chain, dtype = self._described_chain(), self._parameter_dtype()
        parameters = chain.initialize(fan_in, seed_of(self.random_state), dtype)
        self.__dict__.pop("feature_names_in_", None)
        return self._start_over(parameters, fan_in)

    def initialize_from_data(self, X: Any) -> Self:
        """Choose parameters from data; what was learned is forgotten.

        Every unit of a `Linear` starts with pre-activations of standard deviation 1: see
        `nn.Chain.initialize_from_data`. The next `fit` starts from these parameters.

        Parameters
        ----------
        X : array-like of shape (n, fan_in)
            A few thousand rows are enough.
        """
        self._validate_params()
        chain, dtype = self._described_chain(), self._parameter_dtype()
        undo = undo_of(self)
        try:
            table = dense(checked_table(self, X, reset=True), np.dtype(np.float64))
            parameters = chain.initialize_from_data(table, seed_of(self.random_state), dtype)
        except BaseException:
            undo()
            raise
        return self._start_over(parameters, table.shape[1])

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        rows: Any = None,
        rows_val: Any = None,
        classes: Any = None,
    ) -> Self:
        """Train the network. Without `warm_start`, a second call starts over.

        Training starts from the parameters of `initialize` or `initialize_from_data` if one of them
        was called since the last fit, with `warm_start` from those of the last fit, and otherwise
        from new ones.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, fan_in), or ParquetStream
            Numbers of any type, read in place; or Parquet files larger than memory, which contain
            y and the weights, too.
        y : array-like of shape (n,) or (n, K), optional
            Labels of any kind for a cross-entropy (or shares, or zeros and ones, in K columns);
            numbers for the other losses. Not with a stream.
        sample_weight : array-like of shape (n,), optional
            Weight of each row, at least 0. Weights are divided by their mean over all rows trained
            on, not batch by batch: a row of weight 2 counts as two rows. Not with a stream.
        X_val, y_val, sample_weight_val : array-like, optional
            Rows to validate on, which are scored after each epoch. The network keeps the parameters
            that scored best, whatever ends training.
        rows : array-like of int, or mask (n,) of bool, optional
            Rows of X to train on, such as those of a fold; by default all except `rows_val`.
        rows_val : array-like of int, or mask (n,) of bool, optional
            Rows of X to validate on, instead of `X_val`. Their sample weights apply.
        classes : array-like, optional
            All labels, if y may lack some.

        Returns
        -------
        self
            Ctrl-C ends training with a warning. The network then has the parameters reached so far,
            or with validation rows the best ones.

        Raises
        ------
        ValueError
            An argument or a parameter is wrong. The network stays as it was.
        NonFiniteError
            A `ValueError`: the loss became NaN or infinite. The network has the parameters of the
            last good epoch; if there was none, it stays as it was.
        TypeError
            The native engine does not support a layer: use `engine="reference"`.
        ModelFileError
            `checkpoint_path` cannot be written to. Nothing was trained.
        """
        return self._train(
            FitData(X, y, sample_weight, X_val, y_val, sample_weight_val, rows, rows_val, classes)
        )

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def resume(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        max_iter: int | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        rows: Any = None,
        rows_val: Any = None,
        classes: Any = None,
    ) -> Self:
        """Go on with a `fit` that was killed, or make it longer, from its newest checkpoint.

        `fit` with `max_iter=10` followed by `resume(max_iter=20)` gives, bit by bit, what `fit`
        with `max_iter=20` gives on the same machine, in any process, also with a new `Network`. If
        the training has reached its end, `resume` only reads the result. Steps before the
        checkpoint cannot be replayed, and their statistics are not kept.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val, rows, rows_val, classes
            As in `fit`.
        max_iter : int, optional
            Maximum number of epochs in all, those before the checkpoint included; by default the
            `max_iter` of the constructor. A `schedule` is made for that length: with one, it cannot
            be larger.

        Returns
        -------
        self

        Raises
        ------
        ModelFileError
            The folder contains no complete checkpoint. If the newest one is damaged, a warning is
            issued and the one before is used.
        ValueError
            `checkpoint_path` is None, or the checkpoint is of another training: other layers,
            parameters or data. Only what decides when to stop, `n_threads`, `verbose`, `callbacks`,
            `record`, `statistics_every` and `checkpoint_every` may differ. Tables of up to 16 MiB
            are compared in full, larger ones at evenly spaced rows, and your own functions by their
            names.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from pellucid import Network
        >>> from pellucid.nn import Linear
        >>> X, y = load_iris(return_X_y=True)
        >>> settings = {"random_state": 0, "checkpoint_path": tempfile.mkdtemp()}
        >>> network = Network([Linear(3)], "softmax_cross_entropy", max_iter=10, **settings)
        >>> network = network.fit(X, y)
        >>> network = Network([Linear(3)], "softmax_cross_entropy", max_iter=20, **settings)
        >>> network = network.resume(X, y)
        >>> whole = Network([Linear(3)], "softmax_cross_entropy", max_iter=20, random_state=0)
        >>> bool((network.parameters_.flat == whole.fit(X, y).parameters_.flat).all())
        True
        """
        data = FitData(
            X, y, sample_weight, X_val, y_val, sample_weight_val, rows, rows_val, classes
        )
        return self._resume(data, max_iter)

    predict_proba = available_if(_tells_classes)(PredictsProbabilities.predict_proba)
    predict_log_proba = available_if(_tells_classes)(PredictsProbabilities.predict_log_proba)

    def forward(self, X: Any, context: Context = PREDICTION) -> nn.Trace:
        """Return every value on the way of the rows X through the layers.

        The values are computed by the formulas of `nn`, with the current parameters.
        """
        parameters = self.parameters_
        if not isinstance(context, Context):
            raise TypeError(f"context must be a Context such as nn.Context(), got {context!r}")
        table = dense(self._table(X), parameters.flat.dtype)
        return self.chain_.forward(parameters, table, context)

    def scores(self, X: Any) -> NDArray[Any]:
        """Return the output of the last layer, (n, K), before the link of the loss."""
        self._check_has_parameters()
        table = self._table(X)
        return fitted_scores(self._find_fitted(), table, widens=self._widens)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy (with several labels per row, of whole rows) or R².

        Parameters
        ----------
        X, y : array-like
            Rows and their targets.
        sample_weight : array-like of shape (n,), optional

        Raises
        ------
        ValueError
            An argument is wrong, or with a loss of your own, targets and predictions have different
            shapes.
        """
        targets = self._fitted_targets()
        wanted = targets.encode(self._as_given(y), np.float64)
        weight = raw_weights(sample_weight, wanted)
        predictions = np.asarray(self._predictions(X))
        if len(predictions) != len(wanted):
            raise ValueError(f"y has {len(wanted)} rows and X {len(predictions)}")
        if self._answers_labels():
            return targets.score(predictions, wanted, weight)
        if predictions.shape != wanted.shape:
            raise ValueError(
                f"R² needs targets of the shape of the predictions, {predictions.shape}, got "
                f"{wanted.shape}; a loss of your own may have others: see evaluate"
            )
        return float(r2_score(wanted, predictions, sample_weight=weight))

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """Return the mean loss of the rows and their score.

        Returns
        -------
        dict
            "loss", and "accuracy" for labels or "r2" for numbers, as in `score`. All are weighted.
        """
        targets = self._fitted_targets()
        scores = self.scores(X)
        wanted = targets.encode(self._as_given(y), scores.dtype)
        if len(wanted) != len(scores):
            raise ValueError(
                f"y has {len(wanted)} rows and X {len(scores)}: inconsistent numbers of samples"
            )
        weights = normalized_weights(raw_weights(sample_weight, wanted), None).values
        with np.errstate(over="ignore"):
            loss = float(self.chain_.loss_value(scores, wanted, weights))
            predictions = self.chain_.loss.link(scores)
        if self._answers_labels():
            return {"loss": loss, "accuracy": targets.score(predictions, wanted, weights)}
        if wanted.shape != predictions.shape or len(wanted) < 2:
            return {"loss": loss}
        return {"loss": loss, "r2": float(r2_score(wanted, predictions, sample_weight=weights))}

    def describe_layers(self, fan_in: int | None = None) -> NetworkDescription:
        """Return the layers with shapes, parameters, memory and FLOPs; `print` it to read it.

        Parameters
        ----------
        fan_in : int, optional
            Number of columns of X; required before `fit`.
        """
        fan_in = self._fan_in if fan_in is None else fan_in
        if fan_in is None:
            raise ValueError("describe_layers needs fan_in, the number of columns of X, before fit")
        return describe_network(self._described_chain(), fan_in, self._parameter_dtype())

    def replay(self, step: int) -> ReplayedStep:
        """Run a step of the last fit again: its rows, values, gradients and update.

        Requires `record`, and X and y as they were in `fit`. See `training.ReplayedStep`.

        Parameters
        ----------
        step : int
            Counted from 1 over all epochs.

        Raises
        ------
        ValueError
            The step was not recorded, or X or y have changed.
        """
        if self._recording is None:
            raise ValueError(
                "there is nothing to replay: train with Network(..., record=1), which keeps a "
                "checkpoint each epoch"
            )
        return self._recording.replay(step)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        if self._is_classifier():
            tags.estimator_type = "classifier"
            is_logistic = self._loss_name() == "logistic_cross_entropy"
            tags.classifier_tags = ClassifierTags(
                multi_class=not is_logistic, multi_label=is_logistic
            )
            tags.target_tags.multi_output = is_logistic
        else:
            tags.estimator_type = "regressor"
            tags.regressor_tags = RegressorTags()
            tags.target_tags.multi_output = True
        return tags

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: the layers, or how they are written before there is a fit."""
        if self._fan_in is None:
            return html.card("Network", html.table((), [(repr(self),)], frozenset({0})))
        return html.card("Network", self.describe_layers().html_table())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Return what a notebook shows, in place of scikit-learn's diagram."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what only this process can use: the recording."""
        return {**super().__getstate__(), "_recording": None}

    def _is_classifier(self) -> bool:
        return self._loss_name() in CROSS_ENTROPIES

    def _answers_labels(self) -> bool:
        """Return whether what was learned are labels, whatever the parameter `loss` is now."""
        if self._targets is None:
            return self._is_classifier()
        return self._targets.classes is not None

    def _loss_name(self) -> str:
        return self.loss if isinstance(self.loss, str) else getattr(self.loss, "name", "own")

    def _described_chain(self) -> nn.Chain:
        """Return the chain that the constructor parameters describe."""
        return nn.Chain(self.layers, self.loss)

    def _parameter_dtype(self) -> np.dtype[Any]:
        return dtype_of(precision_of(self.dtype))

    def _engine_of(self, chain: nn.Chain) -> Engine:
        return ENGINES[self.engine]

    def _table(self, X: Any) -> Any:
        if self._targets is None and not hasattr(self, "n_features_in_"):
            return as_engine_takes_it(np.asarray(X), "Network")
        return checked_table(self, X, reset=False)

    def _encoded_targets(self, y: Any, dtype: Any) -> NDArray[Any]:
        return self._fitted_targets().encode(self._as_given(y), dtype)

    def _as_given(self, y: Any) -> Any:
        return y if hasattr(y, "toarray") else np.asarray(y)

    def _fitted_targets(self) -> Targets:
        if self._targets is None:
            raise NotFittedError("this Network is not fitted yet; call fit first")
        return self._targets

    def _check_has_parameters(self) -> None:
        if self._parameters is None:
            raise NotFittedError(
                "this Network has no parameters yet; call fit, or initialize(fan_in)"
            )

    def _start_over(self, parameters: nn.Parameters, fan_in: int) -> Self:
        kept = ("n_features_in_", "feature_names_in_")
        learned = [name for name in vars(self) if name.endswith("_") and name not in kept]
        for name in learned:
            del self.__dict__[name]
        self._chain, self._parameters, self._fan_in = self._described_chain(), parameters, fan_in
        self._targets = self._recording = self._kept = None
        self.n_features_in_ = fan_in
        return self

    def _recipe(self, call: Call) -> NetworkRecipe:
        if not isinstance(self.learning_rate_factors, Mapping):
            raise TypeError(
                'learning_rate_factors must be a mapping such as {"bias": 0.1}, got '
                f"{self.learning_rate_factors!r}"
            )
        return NetworkRecipe(
            chain=self._described_chain(),
            precision=precision_of(self.dtype),
            seed=self._seed(call),
            optimizer=self.optimizer,
            learning_rate_init=self.learning_rate_init,
            max_iter=self.max_iter,
            batch_size=self.batch_size,
            schedule=self.schedule,
            clipping=self.clipping,
            scoring=self.scoring,
            alpha=self.alpha,
            learning_rate_factors=self.learning_rate_factors,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            n_threads=self.n_threads,
            statistics_every=self.statistics_every,
        )

    def _seed(self, call: Call) -> int:
        """Return the seed of a training; one that is resumed goes on with its own."""
        if call.saved is None:
            return seed_of(self.random_state)
        with call.saved.reading():
            return check_seed(call.saved.own["seed"])

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        self._fitted_targets()
        return network_to_state(self)

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        network: Self = network_from_state(cls, state, arrays)
        return network
