"""The checked parameters of a perceptron, and what follows from them: chain, plan, solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.contract import ValidationRows
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.models.inputs import normalized_weights
from pellucid.models.labels import check_indicators
from pellucid.models.perceptron.architecture import (
    activation_layers,
    activation_names,
    build_chain,
    dropout_shares,
    hidden_sizes,
)
from pellucid.models.perceptron.loss import loss_for
from pellucid.models.prepared_fit import Learned
from pellucid.models.reading import Reading, Rows
from pellucid.models.schedules import get_schedules
from pellucid.models.streams import StreamRows
from pellucid.models.targets import IndicatorTargets, LabelTargets, Targets
from pellucid.nn import (
    SGD,
    Adam,
    AdamW,
    Chain,
    ClipByGlobalNorm,
    Clipping,
    Layer,
    Optimizer,
)
from pellucid.outside_warning import warn_outside
from pellucid.training import (
    SMALLEST_VALIDATION_SET,
    EpochRate,
    FixedOrder,
    Lbfgs,
    MiniBatches,
    RowOrder,
    RowSource,
    ShuffledOrder,
    TableRows,
    get_epoch_rate,
    hold_out,
)

STOCHASTIC_SOLVERS = ("sgd", "adam")
LARGEST_AUTO_BATCH = 200


def at_most_200_rows(n_train: int) -> int:
    """Return scikit-learn's rows of a step."""
    return min(LARGEST_AUTO_BATCH, n_train)


@dataclass(frozen=True, kw_only=True)
class PerceptronRecipe:
    """What a perceptron is made of and how it is trained, without the data.

    The fields are constructor parameters of `MLPClassifier`, each of them valid alone;
    `auto_batch(n_train)` returns the rows of a step for `batch_size="auto"`, `clips_batch` says
    whether a larger size than the table is taken without a warning, and `trains_on_every_label`
    whether held-out rows of labels that no other row has are trained on instead.
    """

    hidden_layer_sizes: Any
    activation: Any
    solver: str = "adam"
    alpha: float
    batch_size: Any
    learning_rate: str = "constant"
    learning_rate_init: float
    power_t: float = 0.5
    max_iter: int
    shuffle: bool = True
    tol: float = 1e-4
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool
    validation_fraction: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float
    max_fun: int = 15000
    loss: Any
    quantile: float = 0.5
    label_smoothing: float = 0.0
    dropout: Any
    normalization: str | None
    residual: bool
    weight_decay: float
    schedule: Any
    clipping: Any
    scoring: Any
    n_threads: int | None
    dtype: Any = None
    auto_batch: Callable[[int], int] = at_most_200_rows
    clips_batch: bool = False
    trains_on_every_label: bool = False

    def check(self, *, partial: bool, validates: bool, keeps_checkpoints: bool) -> None:
        """Refuse parameters that do not go together.

        Parameters
        ----------
        partial : bool
            Whether they are for `partial_fit`.
        validates : bool
            Whether rows to validate on are given.
        keeps_checkpoints : bool
            Whether there is a `checkpoint_path`.

        Raises
        ------
        ValueError
            The message names the parameter and what to do.
        """
        if partial and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True; use fit, or set "
                "early_stopping=False"
            )
        if partial and self.schedule is not None:
            raise ValueError(
                "partial_fit does not support schedule, which needs to know the length of the "
                f"whole training; use fit, or set schedule=None, got {self.schedule!r}"
            )
        validates = validates or self.early_stopping
        if self.scoring is not None and not validates and self.solver != "lbfgs":
            raise ValueError(
                f"scoring={self.scoring!r} needs rows to score: pass X_val and y_val to fit, or "
                "set early_stopping=True"
            )
        if self.weight_decay > 0 and self.solver != "adam":
            raise ValueError(
                f"weight_decay is that of AdamW and needs solver='adam', got {self.solver!r}; "
                "alpha is a penalty for every solver"
            )
        if self.weight_decay == 0 and get_schedules(self.schedule).weight_decay is not None:
            raise ValueError(
                f"schedule={self.schedule!r} changes weight_decay, which is 0; set weight_decay "
                "above 0 and solver='adam'"
            )
        if self.solver == "lbfgs":
            self._check_lbfgs(keeps_checkpoints)
        hidden_sizes(self.hidden_layer_sizes)

    def _check_lbfgs(self, keeps_checkpoints: bool) -> None:
        """Refuse what an optimizer of the whole table at once has no use for."""
        unfit = {
            "dropout": np.any(np.asarray(self.dropout) != 0),
            "normalization": self.normalization == "batch",
            "schedule": self.schedule is not None,
            "clipping": self.clipping is not None,
            "dtype": self.dtype == "bfloat16",
            "scoring": self.scoring is not None,
        }
        for name, is_unfit in unfit.items():
            if is_unfit:
                raise _needs_mini_batches(f"{name}={getattr(self, name)!r}", name)
        if keeps_checkpoints:
            raise _needs_mini_batches("checkpoint_path", "checkpoint_path")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return hidden_sizes(self.hidden_layer_sizes)

    @property
    def activation_names(self) -> list[str]:
        """The name of the activation behind each linear layer, for the first weights."""
        return activation_names(self.activation, len(self.sizes))

    def chain_for(self, targets: Targets) -> Chain:
        """Return the layers and the loss."""
        sizes = self.sizes
        activations: list[Layer] = activation_layers(self.activation, len(sizes))
        shares = dropout_shares(self.dropout, len(sizes))
        return build_chain(
            sizes,
            activations,
            shares,
            self.normalization,
            self.residual,
            loss_for(targets, self.loss, self.label_smoothing, self.quantile),
            targets.n_outputs,
        )

    def smoothed(self, targets: Targets, encoded: NDArray[Any]) -> NDArray[Any]:
        """Return encoded zeros and ones, each moved towards 1/2 by `label_smoothing`.

        The softmax cross-entropy smooths its codes itself.
        """
        share = float(self.label_smoothing)
        is_binary = isinstance(targets, LabelTargets | IndicatorTargets) and encoded.ndim == 2
        if share == 0.0 or not is_binary:
            return encoded
        smoothed: NDArray[Any] = (1.0 - share) * encoded + 0.5 * share
        return smoothed

    def _mini_batches(self, n_train: int, seed: int, max_epochs: int) -> MiniBatches:
        self._warn_of_batch_size(n_train)
        schedules = get_schedules(self.schedule)
        clipping: Clipping | None = self.clipping
        if isinstance(self.clipping, Real):
            clipping = ClipByGlobalNorm(float(self.clipping))
        plan = TrainingPlan(
            optimizer=self._optimizer(),
            batch_size=self.rows_of_step(n_train),
            l2_penalty=float(self.alpha),
            seed=seed,
            n_threads=self.n_threads,
            n_epochs=None if self.schedule is None else int(self.max_iter),
            epoch_rows=n_train,
            schedule=schedules.learning_rate,
            weight_decay_schedule=schedules.weight_decay,
            dropout_schedule=schedules.dropout,
            clipping=clipping,
            dtype="bfloat16" if self.dtype == "bfloat16" else None,
        )
        return MiniBatches(plan, self._rate(), max_epochs, self.tol, self.n_iter_no_change)

    def rows(
        self, reading: Reading, learned: Learned, draws: np.random.RandomState
    ) -> tuple[Rows, int]:
        """Return the rows as the engine takes them, and the seed of dropout.

        Parameters
        ----------
        reading : Reading
        learned : Learned
            With the parameters to train.
        draws : numpy.random.RandomState
            What the seed, the rows held out and the row orders are drawn from, in this order, as
            scikit-learn does.
        """
        chain, targets = learned.chain, learned.targets
        dtype = learned.parameters.flat.dtype
        dtype = np.dtype(np.float64) if self.solver == "lbfgs" else dtype
        drawn = chain.drops or reading.stream is not None
        seed = int(draws.randint(2**31 - 1)) if drawn else 0

        def encode(y: Any, name: str = "y") -> NDArray[Any]:
            return self.smoothed(targets, targets.encode(y, dtype, name))

        def encode_block(y: NDArray[Any]) -> NDArray[Any]:
            if isinstance(targets, IndicatorTargets):
                check_indicators(y)
            return encode(y, "the target")

        training, given = reading.training, reading.validation
        encoded = encode(training.y)
        validation = None
        if given is not None:
            validation = ValidationRows(given.X, encode(given.y, "y_val"), given.sample_weight)
        if reading.stream is not None:
            source = StreamRows(
                reading.stream,
                encode_block,
                batch_size=self.rows_of_step(reading.stream.n_rows),
                shuffle=self.shuffle,
                seed=seed,
                class_factors=reading.class_factors,
            )
            return Rows(source, validation, given), seed
        n, rows = len(encoded), None
        if reading.holds_out:
            rows, held_out = self._split(encoded, targets, draws)
            given, weight = training, training.sample_weight
            weight = None if weight is None else weight[held_out]
            validation = ValidationRows(training.X, encoded[held_out], weight, held_out)
        weights = normalized_weights(training.sample_weight, rows)
        data = TrainingData(training.X, encoded, weights.values, weights.scale)
        order: RowOrder = FixedOrder(np.arange(n, dtype=np.int64) if rows is None else rows)
        if self.shuffle:
            order = ShuffledOrder(order(0), draws)
        return Rows(TableRows(data, order), validation, given), seed

    def _split(
        self, encoded: NDArray[Any], targets: Targets, draws: np.random.RandomState
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows to train on and those held out."""
        fraction, n = self.validation_fraction, len(encoded)
        if not (self.trains_on_every_label and isinstance(targets, LabelTargets)):
            return hold_out(n, fraction, draws, targets.groups_to_split(encoded))
        codes = encoded.ravel().astype(np.int64)
        can_stratify = np.bincount(codes).min() > 1
        groups = targets.groups_to_split(encoded) if can_stratify else None
        rows, held_out = hold_out(n, fraction, draws, groups)
        is_known = np.bincount(codes[rows], minlength=codes.max() + 1)[codes[held_out]] > 0
        if np.count_nonzero(is_known) < SMALLEST_VALIDATION_SET:
            return rows, held_out
        return np.concatenate([rows, held_out[~is_known]]), held_out[is_known]

    @property
    def free_settings(self) -> frozenset[str]:
        """Parameters that decide only when training ends.

        The length is none where a schedule is made for it, nor is what says when there is a plateau
        where the rate of 'adaptive' is lowered.
        """
        free = set() if self.schedule is not None else {"max_iter"}
        if not (self.solver == "sgd" and self.learning_rate == "adaptive"):
            free |= {"n_iter_no_change", "tol"}
        return frozenset(free)

    def solver_for(self, source: RowSource, seed: int, max_epochs: int) -> MiniBatches | Lbfgs:
        """Return how the solver trains on these rows, for so many epochs at the most."""
        if self.solver == "lbfgs":
            alpha, n_threads = float(self.alpha), self.n_threads
            return Lbfgs(alpha, n_threads, self.tol, int(self.max_iter), int(self.max_fun))
        return self._mini_batches(source.n_rows, seed, max_epochs)

    def _optimizer(self) -> Optimizer:
        """Return the optimizer, in scikit-learn's form."""
        rate = float(self.learning_rate_init)
        if self.solver == "sgd":
            return SGD(rate, float(self.momentum), bool(self.nesterovs_momentum))
        moments = float(self.beta_1), float(self.beta_2), float(self.epsilon)
        if self.weight_decay > 0.0:
            return AdamW(rate, *moments, float(self.weight_decay))
        return Adam(rate, *moments, form="scikit-learn")

    def _rate(self) -> EpochRate:
        name = self.learning_rate if self.solver == "sgd" else "constant"
        return get_epoch_rate(name, float(self.learning_rate_init), float(self.power_t))

    def rows_of_step(self, n_train: int) -> int:
        """Return the rows of a step, at most the rows there are; `auto_batch` says for 'auto'."""
        if isinstance(self.batch_size, str):
            return self.auto_batch(n_train)
        return int(min(self.batch_size, n_train))

    def _warn_of_batch_size(self, n_train: int) -> None:
        is_number = not isinstance(self.batch_size, str)
        if is_number and self.batch_size > n_train and not self.clips_batch:
            warn_outside(
                f"Got `batch_size` {self.batch_size}, larger than the {n_train} rows trained on. "
                "It is going to be clipped; pass a smaller one, or 'auto'."
            )


def _needs_mini_batches(what: str, name: str) -> ValueError:
    return ValueError(
        f"{what} needs steps on mini-batches, which solver='lbfgs' does not take; set "
        f"solver='adam' or 'sgd', or leave {name} out"
    )
