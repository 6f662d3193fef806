"""The multi-layer perceptron for numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils.metaestimators import available_if

from pellucid.models.call import Call
from pellucid.models.fit_data import FitData
from pellucid.models.inputs import check_in_memory
from pellucid.models.perceptron.mlp_table import MlpTable
from pellucid.models.perceptron.parameters import CONSTRAINTS, REGRESSOR_CONSTRAINTS
from pellucid.models.perceptron.perceptron import has_epochs
from pellucid.models.perceptron.regression import (
    Regression,
    check_dense_numbers,
    checked_numbers,
)
from pellucid.models.saving import saveable
from pellucid.models.targets import Targets


@saveable
class MLPRegressor(Regression, MlpTable):
    """Multi-layer perceptron that predicts numbers.

    Parameters up to `max_fun`, attributes and their meaning are those of scikit-learn's
    `MLPRegressor`; for the same integer `random_state`, a float64 table and a single target, so are
    the weights. The parameters after `max_fun` are additions whose defaults change nothing.

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
        Activation of the hidden layers, one for all or a list with one for each: 'identity',
        'logistic', 'tanh', 'relu' or another name in `pellucid.nn.ACTIVATIONS`; an object such as
        `nn.Activation('elu', 0.5)`; or a pair (φ, φ') of functions of an array, which trains with
        the slow reference engine.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        'adam' and 'sgd' train on mini-batches. 'lbfgs' (SciPy's) uses the whole table at each step
        and suits small tables.
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
        Maximum number of epochs ('sgd' and 'adam') or iterations ('lbfgs').
    shuffle : bool, default=True
        Whether 'sgd' and 'adam' take the rows in a new order in each epoch.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the rows held out and the row orders.
    tol : float, default=1e-4
        Minimum improvement of the best loss or score that counts as one. 'lbfgs' stops when the
        largest element of the gradient is at most `tol`; values below 1e-4 also lower the relative
        decrease of the loss at which it stops.
    verbose : bool or int, default=False
        Whether to print each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last call.
    momentum : float, default=0.9
        Momentum of 'sgd', between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
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
        Maximum number of evaluations of the loss by 'lbfgs'.
    quantile : float, default=0.5
        Which quantile of y loss='quantile' predicts, between 0 and 1.
    dropout : float or array-like of float, default=0.0
        Share of the units that training drops, one for all hidden layers or one for each. Requires
        'adam' or 'sgd'.
    normalization : {'batch', 'layer', 'rms'} or None, default=None
        Normalization between each hidden linear layer and its activation: `nn.BatchNorm`,
        `nn.LayerNorm` or `nn.RMSNorm`.
    residual : bool, default=False
        Whether to add the input of a hidden layer to its output where both have the same width.
    weight_decay : float, default=0.0
        Decoupled weight decay λ of AdamW: each step of 'adam' multiplies the weights by
        1 - learning rate · λ, independently of the gradient. (`alpha` is part of the loss.) Biases
        do not decay.
    schedule : str, nn.Schedule, dict or None, default=None
        Factor of the learning rate, step by step over `max_iter` epochs: a name in
        `pellucid.nn.SCHEDULES`, such as 'one_cycle' or 'cosine', or an object. A dict with the keys
        'learning_rate', 'weight_decay' and 'dropout' also changes the other two. Requires 'adam' or
        'sgd'.
    clipping : float, nn.Clipping or None, default=None
        Maximum norm of the gradient of a step, or another way to clip it.
    scoring : str, callable or None, default=None
        Score that selects the best weights on validation rows: 'loss' means minus the loss, 'rmse'
        and 'mae' minus these errors in the unit of y; other names and callables are those of
        scikit-learn. None means R² for the losses 'squared_error'
        and 'poisson', which it suits, and 'loss' for the others.
    n_threads : int or None, default=None
        Maximum number of processors for training and prediction; None means all that this process
        may use. The results do not depend on it.
    dtype : {'float32', 'float64', 'bfloat16'} or None, default=None
        Precision of a new model. None means float32 for a float32 table and float64 for all others.
        'bfloat16' trains float32 weights but rounds the operands of matrix products to bfloat16; it
        requires a processor with AVX-512 BF16.
    callbacks : list of callbacks, default=None
        `pellucid.ProgressBar()`, functions of an `EpochReport`, or `pellucid.Callback` objects. A
        callback that returns True after an epoch ends training. `clone` copies callbacks; model
        files do not contain them.
    checkpoint_path : str, Path or None, default=None
        Folder for checkpoints, from which `resume` goes on after the process was killed. `fit`
        keeps the newest three and replaces those of an earlier training, so each training needs a
        folder of its own. If a checkpoint cannot be written during training, a warning is issued
        and training goes on. Requires 'adam' or 'sgd'. Model files do not contain the path.
    checkpoint_every : int, default=1
        Epochs between checkpoints. One is also written before the first epoch and after the last.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights of each layer: views of one flat buffer that training updates in place. Arrays
        assigned to list items are used by later predictions and training.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases of each layer.
    loss_ : float
        Objective in the last epoch, including the penalty.
    loss_curve_ : list of float
        Objective in each epoch. Like the next four, only defined for 'sgd' and 'adam'.
    best_loss_ : float or None
        Minimum objective; None with validation rows.
    validation_scores_ : list of float or None
        R², or what `scoring` names, on the validation rows after each epoch; None without them.
    validation_loss_curve_ : list of float or None
        Loss on them, without the penalty.
    best_validation_score_ : float or None
        Maximum of `validation_scores_`.
    n_iter_ : int
        Epochs or iterations of the last call.
    target_names_ : tuple of str or None
        The name of y, or those of its columns, if they are text.
    outcome_ : training.Outcome or None
        How the last call ended; None after an error.
    t_ : int
        Number of rows trained on so far, counted once per epoch.
    n_layers_ : int
        Number of layers of units, including input and output.
    n_outputs_ : int
        Outputs of the network.
    out_activation_ : str
        'identity', or 'exp' for the Poisson loss.
    chain_ : nn.Chain
        Layers and loss, without parameters.
    parameters_ : nn.Parameters
        All parameters in one flat buffer, by name: "0.W", "0.b" and those of normalizations.
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

    The table is read in place: arrays of any numeric dtype (except long double) and memory order,
    memory maps and CSR matrices are neither copied nor converted. A new model is trained in float32
    on a float32 table and in float64 on all others; 'lbfgs' always computes in float64.
    `partial_fit` and `warm_start` keep the precision of the weights. Predictions have the precision
    and dtype of NumPy's `X @ coefs_[0]`.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        **REGRESSOR_CONSTRAINTS,
    }

    _y_is_numeric = True

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
            The table, or a stream of files that are larger than memory, which names the columns of
            `y` and of the weights.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), optional
            A number, or several, for each row. Not with a stream.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row, at least 0. Not with a stream.
        X_val, y_val : array-like, optional
            Validation rows and their targets. They are scored after each epoch. Training stops when
            the score stops improving and always keeps the weights that scored best. No rows are
            held out, whatever `early_stopping` says.
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
            A `ValueError`: the loss became non-finite. The estimator keeps the last good weights,
            unless it happened in the first epoch.
        """
        return self._train(FitData(X, y, sample_weight, X_val, y_val, sample_weight_val))

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
        The first call draws the same row order as scikit-learn. With an integer `random_state`,
        later calls draw new orders from a generator seeded by it and the number of calls so far;
        scikit-learn repeats the first order.
        """
        check_in_memory(X)
        return self._train(FitData(X, y, sample_weight), Call(partial=True))

    def _check_given_y(self, y: Any) -> None:
        check_dense_numbers(y)

    def _checked_y(self, y: Any) -> NDArray[Any]:
        return checked_numbers(y)

    def _learn(self, data: FitData, y: Any, known: Targets | None, call: Call) -> Targets:
        return self._learned_or_known(y, known)
