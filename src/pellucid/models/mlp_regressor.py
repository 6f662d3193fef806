"""The multi-layer perceptron for numbers."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._tags import Tags
from sklearn.utils.metaestimators import available_if

from pellucid.models.inputs import check_in_memory, checked_table_and_targets
from pellucid.models.perceptron.loss import REGRESSOR_LOSSES, regressor_loss
from pellucid.models.perceptron.multilayer_perceptron import MultilayerPerceptron, has_epochs
from pellucid.models.perceptron.validation_set import ValidationData
from pellucid.models.saving import saveable
from pellucid.nn import CustomLoss, Loss


@saveable
class MLPRegressor(RegressorMixin, MultilayerPerceptron):  # type: ignore[misc]
    """Multi-layer perceptron that predicts numbers.

    Parameters up to `max_fun`, attributes and their meaning are those of scikit-learn's
    `MLPRegressor`; for the same integer `random_state`, a float64 table and a single target, so are
    the weights. What follows `max_fun` goes beyond it, and changes nothing by default.

    Parameters
    ----------
    loss : str, nn.Loss, callable or nn.CustomLoss, default='squared_error'
        'squared_error': half the squared error. 'poisson': half the Poisson deviance of exp(score),
        for y >= 0. 'absolute_error'. 'huber': squared up to an error of 1, absolute beyond;
        `nn.Loss('huber', 0.5)` sets another limit. 'quantile': the pinball loss, for the quantile
        that the parameter of that name says. Or a function `(scores, targets, weights) -> (loss,
        gradient)` of a batch: see `nn.CustomLoss`; its gradient is checked on the first batch.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer. `()` means no hidden layer: linear regression.
    activation : str, nn.Activation, pair of functions or list of these, default='relu'
        Of the hidden layers, one for all or a list with one for each: 'identity', 'logistic',
        'tanh', 'relu' or another name in `pellucid.nn.ACTIVATIONS`; `nn.Activation('elu', 0.5)`; or
        a pair (φ, φ') of functions of an array, which trains with the slow reference engine.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        'adam' and 'sgd' go through the table in mini-batches; 'lbfgs' (SciPy's) uses the whole
        table at each step and suits small tables.
    alpha : float, default=0.0001
        L2 penalty: alpha/2 · Σ‖W‖² divided by the rows of the mini-batch (times the mean sample
        weight) is added to the loss. Biases are not penalized.
    batch_size : int or 'auto', default='auto'
        Rows of a mini-batch; 'auto' means min(200, n_samples). Not used by 'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of 'sgd'. 'invscaling': learning_rate_init / (t + 1)**power_t after t rows;
        'adaptive': divided by 5 at each plateau.
    learning_rate_init : float, default=0.001
        First learning rate of 'sgd' and 'adam'.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Most epochs of 'sgd' and 'adam'; most iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether 'sgd' and 'adam' take the rows in a new order in each epoch.
    random_state : int, RandomState instance or None, default=None
        For the first weights, the rows held out and the row orders.
    tol : float, default=1e-4
        An epoch that improves on the best loss or score by less counts as no improvement. For
        'lbfgs', the largest element of the gradient at which it stops; below 1e-4 it also asks for
        a smaller relative decrease of the loss than SciPy's default before giving up.
    verbose : bool or int, default=False
        Whether to print each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last call.
    momentum : float, default=0.9
        Of 'sgd', between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether the momentum of 'sgd' is Nesterov's.
    early_stopping : bool, default=False
        Whether to hold out rows, stop when their score stops improving and keep the weights that
        scored best. For 'sgd' and 'adam'.
    validation_fraction : float, default=0.1
        Share of the rows held out by early stopping.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the moments of 'adam', in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of 'adam'.
    n_iter_no_change : int, default=10
        'sgd' and 'adam' stop after more epochs than this in a row without improvement.
    max_fun : int, default=15000
        Most evaluations of the loss by 'lbfgs'.
    quantile : float, default=0.5
        Which quantile of y loss='quantile' predicts, between 0 and 1.
    dropout : float or array-like of float, default=0.0
        Share of the units of each hidden layer that training drops, one for all or one for each.
        For 'adam' and 'sgd'.
    normalization : {'batch', 'layer', 'rms'} or None, default=None
        What stands between each hidden layer's sums and its activation: `nn.BatchNorm`,
        `nn.LayerNorm` or `nn.RMSNorm`.
    residual : bool, default=False
        Whether a hidden layer as large as the one before it is added to that one's output.
    weight_decay : float, default=0.0
        λ of AdamW: each step of 'adam' multiplies the weights by 1 - learning rate · λ, whatever
        the gradients are; `alpha` in contrast is part of the loss. Biases do not decay.
    schedule : str, nn.Schedule or None, default=None
        What the learning rate is multiplied by from step to step over `max_iter` epochs: a name in
        `pellucid.nn.SCHEDULES`, such as 'one_cycle' or 'cosine', or an object. For 'adam' and
        'sgd'.
    clipping : float, nn.Clipping or None, default=None
        Largest norm of the whole gradient of a step, or another way to limit it.
    scoring : str, callable or None, default=None
        What tells the best weights on validation rows: 'loss' the loss; other names and callables
        are those of scikit-learn. None means R² for 'squared_error' and 'poisson', which it suits,
        and the loss for the others.
    n_threads : int or None, default=None
        Most processors to train and predict with; None means all that this process may use. The
        results do not depend on it.
    dtype : {'float32', 'float64', 'bfloat16'} or None, default=None
        Precision of a new model. None means float32 for a float32 table, else float64. 'bfloat16'
        is float32 with the operands of products rounded to bfloat16 while training; it needs a
        processor with AVX-512 BF16.
    callbacks : list of callbacks, default=None
        `pellucid.ProgressBar()`, functions of an `EpochReport`, or objects with `on_start`,
        `on_epoch_end` and `on_end`; one that returns True after an epoch ends training. Copied by
        `clone`, left out of model files.
    checkpoint_path : str, Path or None, default=None
        A folder that `fit` keeps the state of its training in, for `resume`, even if the process is
        killed: the newest three checkpoints; those of an earlier training are replaced. One that
        cannot be written in the middle of training is warned of, and training goes on. For 'adam'
        and 'sgd'; one folder for each training.
    checkpoint_every : int, default=1
        Epochs between checkpoints; there is also one before the first epoch and one after the last.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights of each layer: views of one flat buffer that training updates in place. An array
        put into the list is used by later predictions and training.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases of each layer.
    loss_ : float
        Objective in the last epoch, penalty included.
    loss_curve_ : list of float
        Objective in each epoch. Only after 'sgd' and 'adam', like the next four.
    best_loss_ : float or None
        Lowest objective; None with validation rows.
    validation_scores_ : list of float or None
        What `scoring` says of the validation rows after each epoch; None without.
    validation_loss_curve_ : list of float or None
        Loss on them, without the penalty.
    best_validation_score_ : float or None
        Highest of them.
    n_iter_ : int
        Epochs or iterations of the last call.
    t_ : int
        Rows trained on so far, each counted once for each epoch.
    n_layers_ : int
        Layers of units, input and output included.
    n_outputs_ : int
        Outputs of the network.
    out_activation_ : str
        'identity', or 'exp' for the Poisson loss.
    network_ : nn.Chain
        Layers and loss, without numbers.
    parameters_ : nn.Parameters
        All parameters in one flat buffer, by name: "0.W", "0.b", those of normalizations too.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns, where the table has them.

    See Also
    --------
    MLPClassifier : The same for classes.

    Notes
    -----
    The loss is the mean over the rows of ½ Σ_k (ŷ_k - y_k)², the sum over the targets, and the
    gradient is that of this function. For a single target this is scikit-learn's. For K targets
    scikit-learn reports the mean over the targets, 1/K of ours, but uses the gradient of the sum
    (its issue 8349): 'sgd' and 'adam' take the same steps here as there and report a loss K times
    as large; 'lbfgs', whose line search needs both to agree, finds its way here and may not there.

    Sample weights are divided once by their mean over all rows, so that a row of weight k counts
    as k rows in every mini-batch.

    The table is read in place: an array of any numeric dtype (but long double) and memory order, a
    memory map or a CSR matrix is not copied or converted. A new model is trained in float32 on a
    float32 table, in float64 on all others; 'lbfgs' always computes in float64. `partial_fit` and
    `warm_start` go on in the precision of the weights. Predictions are computed in the precision,
    and have the dtype, of NumPy's `X @ coefs_[0]`.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid import MLPRegressor
    >>> X = np.linspace(-1.0, 1.0, 50).reshape(-1, 1)
    >>> y = X[:, 0] ** 2
    >>> model = MLPRegressor(hidden_layer_sizes=(20,), activation="tanh", solver="lbfgs",
    ...                      alpha=0.0, max_iter=500, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.99)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MultilayerPerceptron._parameter_constraints,
        "loss": [StrOptions(set(REGRESSOR_LOSSES)), Loss, CustomLoss, callable],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        quantile: float = 0.5,
        dropout: Any = 0.0,
        normalization: str | None = None,
        residual: bool = False,
        weight_decay: float = 0.0,
        schedule: Any = None,
        clipping: Any = None,
        scoring: Any = None,
        n_threads: int | None = None,
        dtype: Any = None,
        callbacks: Any = None,
        checkpoint_path: Any = None,
        checkpoint_every: int = 1,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.quantile = quantile
        self.dropout = dropout
        self.normalization = normalization
        self.residual = residual
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clipping = clipping
        self.scoring = scoring
        self.n_threads = n_threads
        self.dtype = dtype
        self.callbacks = callbacks
        self.checkpoint_path = checkpoint_path
        self.checkpoint_every = checkpoint_every

    _score_name = "R²"

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
    ) -> Self:
        """Train on a table.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or ParquetStream
            The table, or files with more rows than memory holds, which name the columns of `y` and
            of the weights.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), optional
            A number, or several, for each row. Not with a stream.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row, at least 0. Not with a stream.
        X_val, y_val : array-like, optional
            Other rows and their targets. After each epoch they are scored; training stops when the
            score stops improving and, however it ends, keeps the weights that scored best. Nothing
            is held out then, whatever `early_stopping` says.
        sample_weight_val : array-like of shape (n_val,), optional
            Weight of each row of `X_val`.

        Returns
        -------
        self : MLPRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            A parameter or an input is wrong; the estimator is then as it was before.
        NonFiniteError
            A `ValueError`: the loss became non-finite. The last good weights are kept, unless it
            happened in the first epoch.
        """
        validation = ValidationData(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=False)

    @available_if(has_epochs)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on training for one epoch on these rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Some rows of the table.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row; weights are relative to the mean of this call.

        Returns
        -------
        self : MLPRegressor
            The estimator.

        Raises
        ------
        ValueError
            An input is wrong or the loss became non-finite; the estimator is then as it was before.

        Notes
        -----
        The first call draws the row order that scikit-learn's draws. With an integer
        `random_state` later calls draw new ones, from a generator seeded by it and the number of
        calls so far; scikit-learn's repeat the first.
        """
        check_in_memory(X)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any, n_samples: int | None = None, random_state: Any = 0) -> Any:
        """Predict the target, or targets, of each row.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The table.
        n_samples : int, optional
            Ask so many random sub-networks, that dropout leaves, in place of the whole network:
            Monte-Carlo dropout (Y. Gal and Z. Ghahramani, 2016). The model must have dropout.
        random_state : int, RandomState instance or None, default=0
            Draws them.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions, float32 or float64. With `n_samples` the mean over the samples, in float64,
            and a second array: their standard deviation.

        Raises
        ------
        ValueError
            `X` is wrong, or so large that predictions overflow; or `n_samples` is given and the
            model has no dropout.
        """
        if n_samples is None:
            return _one_column_flat(self._predictions(X))
        mean, std = self._spread(X, n_samples, random_state)
        return _one_column_flat(mean), _one_column_flat(std)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _checked_input(
        self, X: Any, y: Any, *, incremental: bool, fresh: bool
    ) -> tuple[Any, NDArray[Any]]:
        _check_dense_numbers(y)
        X, y = checked_table_and_targets(self, X, y, reset=fresh, y_numeric=True)
        self._check_numbers(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _check_numbers(self, y: NDArray[Any]) -> None:
        """Raise ValueError where y has a number that the loss does not take."""
        assert_all_finite(y, input_name="y")  # None among objects has become NaN
        if y.dtype.kind not in "biuf":
            raise ValueError(f"MLPRegressor needs numbers as y, got dtype {y.dtype}")
        if regressor_loss(self.loss, self.quantile).name == "poisson" and y.min() < 0:
            raise ValueError(
                f"loss='poisson' needs y >= 0, got {y.min()}; use loss='squared_error' for "
                "targets that may be negative"
            )

    def _checked_validation(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        X, y = self._checked_input(X, y, incremental=False, fresh=False)
        if (1 if y.ndim == 1 else y.shape[1]) != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} targets a row, got shape {y.shape}")
        return X, y

    def _outputs(self, y: NDArray[Any]) -> tuple[int, Loss | CustomLoss]:
        return (1 if y.ndim == 1 else y.shape[1]), regressor_loss(self.loss, self.quantile)

    def _block_targets(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        self._check_numbers(y)
        return self._targets(y, dtype)

    def _weights(
        self, y: NDArray[Any], sample_weight: NDArray[np.float64] | None
    ) -> NDArray[np.float64] | None:
        return sample_weight

    def _targets(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            targets = np.ascontiguousarray(y.reshape(len(y), -1), dtype=dtype)
        if targets.dtype == np.float32 and not np.isfinite(targets).all():
            raise ValueError(
                "y has values too large for float32, which the model computes in; scale y, or set "
                "dtype='float64'"
            )
        return targets

    def _stratify(self, targets: NDArray[Any]) -> NDArray[np.bool_] | None:
        return None

    def _scoring(self) -> Any:
        # R² asks for means: it would choose the wrong epoch for quantiles and the like.
        if self.scoring is None and self.loss not in ("squared_error", "poisson"):
            return "loss"
        return self.scoring

    def _validation_score(
        self,
        predictions: NDArray[Any],
        targets: NDArray[Any],
        sample_weight: NDArray[np.float64] | None,
    ) -> float:
        from sklearn.metrics import r2_score  # importing it would slow down `import pellucid`

        return float(r2_score(targets, predictions, sample_weight=sample_weight))


def _one_column_flat(predictions: NDArray[Any]) -> NDArray[Any]:
    return predictions.ravel() if predictions.shape[1] == 1 else predictions


def _check_dense_numbers(y: Any) -> None:
    if scipy.sparse.issparse(y):
        raise ValueError("MLPRegressor needs dense y, got a sparse matrix; pass y.toarray()")
    values = np.asarray(y)
    has_text = values.dtype.kind in "US" or (
        values.dtype.kind == "O" and any(isinstance(value, str) for value in values.ravel())
    )
    if has_text:
        raise ValueError("MLPRegressor needs numbers as y, got text; for classes use MLPClassifier")
