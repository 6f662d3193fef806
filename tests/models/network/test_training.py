"""What `Network.fit` trains on, validates on, and how it ends."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.sparse
from case_names import case_name
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss, make_scorer
from sklearn.utils.class_weight import compute_sample_weight

from pellucid import Network
from pellucid.engine.errors import NonFiniteError
from pellucid.nn import SGD, Activation, Adam, Dropout, Linear
from pellucid.training import Outcome

X, Y = load_digits(return_X_y=True)
X = X / 16
LAYERS = [Linear(32), Activation("relu"), Linear(10)]
HELD_OUT = np.arange(100)
REST = np.arange(100, 400)


def digits(layers=LAYERS, **settings):
    return Network(layers, "softmax_cross_entropy", **{"random_state": 0, **settings})


def small(loss="squared_error", n_outputs=1, **settings):
    layers = [Linear(4), Activation("tanh"), Linear(n_outputs)]
    return Network(layers, loss, **{"random_state": 0, **settings})


def assert_same(network, other):
    np.testing.assert_array_equal(network.parameters_.flat, other.parameters_.flat)
    assert network.loss_curve_ == other.loss_curve_
    assert network.validation_loss_curve_ == other.validation_loss_curve_
    assert network.validation_scores_ == other.validation_scores_


# Rows


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_rows_are_those_of_a_table_of_their_own(engine):
    rows = np.arange(0, 1000, 3)
    settings = {"engine": engine, "max_iter": 2, "batch_size": 50, "schedule": "cosine"}
    chosen = digits(**settings).fit(X, Y, rows=rows)
    assert_same(chosen, digits(**settings).fit(X[rows], Y[rows]))


@pytest.mark.parametrize("is_mask", [False, True])
@pytest.mark.parametrize("class_weight", [None, "balanced", {3: 5.0, 4: 0.5}])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_held_out_are_other_rows_to_validate_on(is_mask, class_weight, weighted):
    held_out = np.zeros(400, dtype=bool)
    held_out[::4] = True
    held_out[Y[:400] == 3] = np.arange((Y[:400] == 3).sum()) > 5  # other shares than in the rest
    X_all, y = X[:400], Y[:400].copy()
    y[held_out] = (y[held_out] + 1) % 10
    weights = np.random.default_rng(0).random(400) if weighted else None
    of_rest, of_held_out = (
        (None, None) if weights is None else (weights[~held_out], weights[held_out])
    )
    settings = {"max_iter": 3, "class_weight": class_weight, "dtype": "float64"}
    rows_val = held_out if is_mask else np.flatnonzero(held_out)
    one = digits(**settings).fit(X_all, y, sample_weight=weights, rows_val=rows_val)
    other = digits(**settings).fit(
        X_all[~held_out], y[~held_out], of_rest,
        X_val=X_all[held_out], y_val=y[held_out], sample_weight_val=of_held_out,
    )  # fmt: skip
    assert_same(one, other)


def test_rows_and_rows_held_out_together():
    settings = {"max_iter": 2, "class_weight": "balanced"}
    one = digits(**settings).fit(X, Y, rows=REST, rows_val=HELD_OUT)
    both = np.concatenate([HELD_OUT, REST])
    assert_same(one, digits(**settings).fit(X[both], Y[both], rows_val=np.arange(100)))


@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, np.asfortranarray, np.ndarray.tolist])
def test_rows_to_validate_on_are_any_table(kind):
    plain, other = (
        digits(max_iter=2).fit(X[REST], Y[REST], X_val=table, y_val=Y[HELD_OUT])
        for table in (X[HELD_OUT], kind(X[HELD_OUT]))
    )
    np.testing.assert_array_equal(plain.parameters_.flat, other.parameters_.flat)
    np.testing.assert_allclose(plain.validation_loss_curve_, other.validation_loss_curve_)


# Weights


def test_a_weight_of_two_is_two_rows():
    rows = np.arange(200)
    weights = np.ones(200)
    weights[:50] = 2.0
    repeated = np.concatenate([rows, rows[:50]])
    settings = {"max_iter": 5, "shuffle": False, "optimizer": SGD(0.5), "dtype": "float64"}
    weighted = digits(batch_size=200, **settings).fit(X[rows], Y[rows], sample_weight=weights)
    twice = digits(batch_size=250, **settings).fit(X[repeated], Y[repeated])
    np.testing.assert_allclose(weighted.parameters_.flat, twice.parameters_.flat, atol=1e-12)


def test_weights_are_divided_by_their_mean_over_all_rows_not_by_batch():
    weights = np.ones(256)
    weights[:128] = 3.0  # the whole first batch
    network = digits(dtype="float64", max_iter=1, shuffle=False, optimizer=SGD(0.1))
    network.fit(X[:256], Y[:256], sample_weight=weights)
    chain = network.chain_
    parameters = chain.initialize(64, seed=0)
    for rows, weight in ((slice(0, 128), 1.5), (slice(128, 256), 0.5)):
        trace = chain.forward(parameters, X[rows])
        gradients = chain.backward(parameters, trace, Y[rows])
        parameters.flat -= 0.1 * weight * gradients.parameters.flat
    np.testing.assert_allclose(network.parameters_.flat, parameters.flat, atol=1e-12)


def test_balanced_classes_count_the_same_together():
    y = np.where(Y == 0, "rare", "frequent")
    shares = {label: np.mean(y == label) for label in ("rare", "frequent")}
    by_hand = {label: 1 / share for label, share in shares.items()}
    balanced, equal, plain = (
        small("logistic_cross_entropy", max_iter=3, optimizer=SGD(0.1), class_weight=weight)
        .fit(X, y)
        .parameters_.flat
        for weight in ("balanced", by_hand, None)
    )
    np.testing.assert_allclose(balanced, equal, atol=1e-6)
    assert abs(plain - balanced).max() > 1e-3


def test_balanced_means_balanced_over_the_rows_trained_on():
    held_out = np.flatnonzero((Y == 3) & (np.arange(len(Y)) > 200))
    rest = np.setdiff1d(np.arange(len(Y)), held_out)
    settings = {"max_iter": 1, "class_weight": "balanced", "shuffle": False, "dtype": "float64"}
    chosen = digits(**settings).fit(X, Y, rows=rest)
    assert_same(chosen, digits(**settings).fit(X[rest], Y[rest]))


def test_balanced_counts_weighted_rows_as_repetitions():
    k = np.random.default_rng(1).integers(1, 4, len(Y))
    settings = {"class_weight": "balanced", "batch_size": 10**6, "shuffle": False, "max_iter": 5}
    repeated = digits(dtype="float64", **settings).fit(X.repeat(k, axis=0), Y.repeat(k))
    weighted = digits(dtype="float64", **settings).fit(X, Y, sample_weight=k)
    np.testing.assert_allclose(
        weighted.parameters_.flat, repeated.parameters_.flat, rtol=1e-9, atol=1e-12
    )


def test_a_class_that_class_weight_leaves_out_weighs_one():
    one = digits(max_iter=1, class_weight={3: 2.0}).fit(X, Y)
    two = digits(max_iter=1).fit(X, Y, sample_weight=np.where(Y == 3, 2.0, 1.0))
    np.testing.assert_array_equal(one.parameters_.flat, two.parameters_.flat)


@pytest.mark.parametrize("class_weight", [None, "balanced", {3: 5.0, 4: 0.0}])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("way", ["rows_val", "X_val"])
def test_weights_count_on_rows_to_validate_on(class_weight, weighted, way):
    weights = np.random.default_rng(0).random(len(Y)) if weighted else None
    network = digits(max_iter=1, class_weight=class_weight, dtype="float64", scoring="accuracy")
    some = None if weights is None else weights[HELD_OUT]
    if way == "rows_val":
        network.fit(X, Y, weights, rows=REST, rows_val=HELD_OUT)
    else:
        own = {"X_val": X[HELD_OUT], "y_val": Y[HELD_OUT], "sample_weight_val": some}
        network.fit(X, Y, weights, rows=REST, **own)
    of_classes = np.ones(100)
    if class_weight == "balanced":
        totals = np.bincount(Y[HELD_OUT], weights=some)
        of_classes = (totals.sum() / (10 * totals))[Y[HELD_OUT]]
    elif class_weight is not None:
        of_classes = np.array([class_weight.get(label, 1.0) for label in Y[HELD_OUT]])
    together = of_classes if some is None else of_classes * some
    expected = network.evaluate(X[HELD_OUT], Y[HELD_OUT], sample_weight=together)
    assert network.validation_loss_curve_ == [pytest.approx(expected["loss"])]
    assert network.validation_scores_ == [pytest.approx(expected["accuracy"])]


def test_balanced_without_weights_is_that_of_scikit_learn():
    balanced = digits(max_iter=2, class_weight="balanced").fit(X[REST], Y[REST])
    weights = compute_sample_weight("balanced", Y[REST])
    by_hand = digits(max_iter=2).fit(X[REST], Y[REST], sample_weight=weights)
    np.testing.assert_allclose(balanced.parameters_.flat, by_hand.parameters_.flat, atol=1e-6)


# Validation


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_the_lowest_validation_loss_is_what_remains(engine):
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(X))
    train, held_out = rows[:100], rows[100:600]
    network = digits(engine=engine, learning_rate_init=1e-2, max_iter=15).fit(
        X[train],
        rng.permutation(Y[train]),  # nothing to learn, so that more epochs only do harm
        X_val=X[held_out],
        y_val=Y[held_out],
    )
    losses = network.validation_loss_curve_
    assert np.argmin(losses) < 14
    assert network.evaluate(X[held_out], Y[held_out])["loss"] == pytest.approx(min(losses))
    assert network.validation_scores_ == [-loss for loss in losses]
    assert network.best_validation_score_ == -min(losses)


def test_validation_changes_nothing_of_the_training():
    whole = digits(max_iter=3).fit(X[REST], Y[REST])
    validated = digits(max_iter=3).fit(X[REST], Y[REST], X_val=X[HELD_OUT], y_val=Y[HELD_OUT])
    assert validated.loss_curve_ == whole.loss_curve_


def mistakes(network, X, y, sample_weight=None):
    return -float(np.average(network.predict(X) != y, weights=sample_weight))


@pytest.mark.parametrize(
    "scoring",
    [
        "accuracy",
        "f1_macro",
        "neg_log_loss",
        make_scorer(log_loss, greater_is_better=False, response_method="predict_proba"),
        mistakes,
    ],
    ids=case_name,
)
def test_scoring_is_the_score_after_each_epoch_and_its_best_remains(scoring):
    weights = np.random.default_rng(0).random(100)
    own = {"X_val": X[HELD_OUT], "y_val": Y[HELD_OUT], "sample_weight_val": weights}
    settings = {"learning_rate_init": 0.02, "dtype": "float64"}
    network = digits(max_iter=6, scoring=scoring, **settings).fit(X[REST], Y[REST], **own)
    from sklearn.metrics import check_scoring

    def score(network):
        scorer = check_scoring(network, scoring=scoring)
        return scorer(network, X[HELD_OUT], Y[HELD_OUT], sample_weight=weights)

    scores = [score(digits(max_iter=k, **settings).fit(X[REST], Y[REST])) for k in range(1, 7)]
    assert network.validation_scores_ == pytest.approx(scores)
    assert network.best_validation_score_ == max(network.validation_scores_)
    assert score(network) == pytest.approx(max(scores))


def test_a_scorer_of_numbers_gets_them_in_the_form_of_y():
    def scorer(network, X, y):
        assert network.predict(X).shape == y.shape == (100,)
        return -float(np.abs(network.predict(X) - y).max())

    network = small(max_iter=3, scoring=scorer).fit(X, 1.0 * Y, rows_val=HELD_OUT)
    assert network.best_validation_score_ == pytest.approx(scorer(network, X[:100], Y[:100]))


@pytest.mark.parametrize("y", [["a", "b"], [3.5, 4.5]], ids=["labels", "numbers"])
def test_loss_is_minus_the_loss(y):
    loss, n = ("softmax_cross_entropy", 2) if y[0] == "a" else ("squared_error", 1)
    y = np.take(y, Y % 2)
    one, other = (
        small(loss, n, max_iter=3, scoring=scoring).fit(X, y, rows_val=HELD_OUT)
        for scoring in (None, "loss")
    )
    assert_same(one, other)


@pytest.mark.parametrize(
    ("scoring", "error", "message"),
    [
        ("accuracy_of_nothing", ValueError, "accuracy_of_nothing"),
        (lambda network, X, y: "good", TypeError, "must return a number, got 'good'"),
        (lambda network, X, y: 1 / 0, ZeroDivisionError, "division by zero"),
    ],
    ids=["unknown", "no number", "error"],
)
def test_a_broken_scoring_is_told_and_leaves_the_network_as_it_was(scoring, error, message):
    network = digits(max_iter=1).fit(X, Y)
    before = vars(network).copy()
    network.set_params(scoring=scoring)
    with pytest.raises(error, match=message):
        network.fit(X, Y, rows_val=HELD_OUT)
    assert vars(network) == {**before, "scoring": scoring}


def test_scoring_needs_rows_and_a_place_for_weights():
    with pytest.raises(ValueError, match="scoring='accuracy' needs rows to score: pass X_val"):
        digits(scoring="accuracy").fit(X, Y)

    def unweighted(network, X, y):
        return network.score(X, y)

    assert digits(max_iter=1, scoring=unweighted).fit(X, Y, rows_val=HELD_OUT).validation_scores_
    with pytest.raises(TypeError, match="must take sample_weight"):
        digits(scoring=unweighted, class_weight="balanced").fit(X, Y, rows_val=HELD_OUT)


def test_rows_to_validate_on_need_a_weight():
    weights = np.ones(len(Y))
    weights[HELD_OUT] = 0.0
    with pytest.raises(ValueError, match=r"sample_weight, .* one number above zero .* by rows_val"):
        digits().fit(X, Y, weights, rows_val=HELD_OUT)
    with pytest.raises(ValueError, match=r"sample_weight_val\b.* must contain at least one"):
        digits().fit(X, Y, X_val=X, y_val=Y, sample_weight_val=np.zeros(len(Y)))


# Stopping


def test_n_iter_no_change_counts_epochs_without_a_better_score():
    rng = np.random.default_rng(0)
    network = digits(learning_rate_init=1e-2, max_iter=100, n_iter_no_change=4)
    network.fit(X[:100], rng.permutation(Y[:100]), X_val=X[100:], y_val=Y[100:])
    losses = network.validation_loss_curve_
    assert network.n_iter_ == len(losses) == int(np.argmin(losses)) + 1 + 4 + 1 < 100
    assert network.outcome_ is Outcome.CONVERGED
    assert network.evaluate(X[100:], Y[100:])["loss"] == pytest.approx(min(losses))


@pytest.mark.parametrize("validates", [False, True])
def test_improvements_below_tol_count_as_none(validates):
    own = {"rows_val": HELD_OUT} if validates else {}
    settings = {"optimizer": SGD(1e-6), "max_iter": 50, "n_iter_no_change": 3}
    slow = digits(tol=1e-2, **settings).fit(X[:400], Y[:400], **own)
    # The first epoch is better than none; then four without enough improvement.
    assert slow.n_iter_ == len(slow.loss_curve_) == 5
    assert slow.outcome_ is Outcome.CONVERGED
    assert digits(tol=0.0, **settings).fit(X[:400], Y[:400], rows_val=HELD_OUT).n_iter_ == 50


def test_without_n_iter_no_change_all_epochs_are_run():
    network = digits(optimizer=SGD(1e-30), max_iter=9, tol=1.0).fit(X[:50], Y[:50], rows_val=[0, 1])
    assert network.n_iter_ == 9
    assert network.outcome_ is Outcome.MAX_EPOCHS


def test_a_callback_ends_training():
    seen = []

    def after(report):
        seen.append(report.loss)
        return report.epoch == 2

    network = digits(callbacks=[after]).fit(X, Y)
    assert network.loss_curve_ == seen
    assert network.n_iter_ == 2
    assert network.outcome_ is Outcome.STOPPED


@pytest.mark.parametrize("validates", [False, True])
def test_an_interrupted_fit_keeps_what_it_has(validates):
    def after(report):
        if report.epoch == 3:
            raise KeyboardInterrupt

    own = {"rows_val": HELD_OUT} if validates else {}
    network = digits(callbacks=[after])
    with pytest.warns(UserWarning, match="interrupted by user"):
        network.fit(X, Y, **own)
    assert network.outcome_ is Outcome.INTERRUPTED
    assert_same(network, digits(max_iter=3).fit(X, Y, **own))


def test_a_loss_that_becomes_infinite_leaves_the_last_good_epoch():
    y = Y.astype(float)
    fresh = small(optimizer=SGD(1e30), max_iter=3)
    with pytest.raises(NonFiniteError, match="Lower the learning rate"):
        fresh.fit(X, y)
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    network = small(optimizer=SGD(30.0), max_iter=50, batch_size=900)
    with pytest.warns(ConvergenceWarning, match="best validation score are kept"):
        network.fit(X, y, X_val=X, y_val=y)
    assert network.outcome_ is Outcome.DIVERGED
    best = np.nanmin(network.validation_loss_curve_)
    assert network.evaluate(X, y)["loss"] == pytest.approx(best)


def test_epochs_that_were_good_are_kept_before_an_infinite_loss():
    y = Y.astype(float)
    network = small(optimizer=SGD(30.0), max_iter=50, batch_size=900)
    with pytest.raises(NonFiniteError):
        network.fit(X, y)
    n = network.n_iter_
    assert n == len(network.loss_curve_) > 0
    assert network.outcome_ is None
    assert_same(network, small(optimizer=SGD(30.0), max_iter=n, batch_size=900).fit(X, y))


def test_verbose_prints_each_epoch(capsys):
    network = digits(max_iter=2, verbose=True).fit(X, Y, rows_val=HELD_OUT)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [
        f"Iteration 2, loss = {network.loss_curve_[1]:.8f}",
        f"Validation score: {network.validation_scores_[1]:f}",
    ]


# Going on


def test_warm_start_goes_on_from_the_parameters_there_are():
    network = digits(max_iter=2).fit(X, Y)
    reached, losses = network.parameters_.flat.copy(), list(network.loss_curve_)
    network.set_params(max_iter=1, optimizer=SGD(1e-30), warm_start=True).fit(X, Y)
    np.testing.assert_allclose(network.parameters_.flat, reached, atol=1e-28)
    assert network.loss_curve_[:2] == losses
    assert network.loss_curve_[2] < losses[1]
    assert network.n_iter_ == 1


def test_warm_start_of_an_unfitted_network_is_a_fit():
    settings = {"max_iter": 2}
    assert_same(
        digits(warm_start=True, **settings).fit(X, Y, rows_val=HELD_OUT),
        digits(**settings).fit(X, Y, rows_val=HELD_OUT),
    )


def test_warm_start_starts_optimizer_and_orders_afresh():
    network = digits(max_iter=2, warm_start=True).fit(X, Y)
    other = digits(max_iter=2).initialize(64)
    other.parameters_.flat[:] = network.parameters_.flat
    np.testing.assert_array_equal(
        network.fit(X, Y).parameters_.flat, other.fit(X, Y).parameters_.flat
    )
    assert network.loss_curve_[2:] == other.loss_curve_


def test_a_second_fit_forgets_the_first():
    network = digits(max_iter=2).fit(X, Y, rows_val=HELD_OUT)
    network.fit(X[:, :30], np.where(Y > 4, 1, Y), classes=range(10))
    other = digits(max_iter=2).fit(X[:, :30], np.where(Y > 4, 1, Y), classes=range(10))
    assert_same(network, other)
    assert network.n_features_in_ == 30
    assert network.best_validation_score_ is None


def test_going_on_takes_the_table_labels_and_layers_that_are_known():
    network = digits(max_iter=1, warm_start=True).fit(X[:200], Y[:200])
    with pytest.raises(ValueError, match="X has 3 features, but Network is expecting 64"):
        network.fit(X[:, :3], Y)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        network.fit(X, Y + 1)
    with pytest.raises(ValueError, match="classes must be those of the earlier fit"):
        network.fit(X, Y, classes=range(11))
    network.fit(X, Y, classes=np.arange(10))
    network.fit(X[Y < 3], Y[Y < 3])
    assert len(network.loss_curve_) == 3
    for change in ({"layers": [Linear(10)]}, {"dtype": "float64"}):
        fitted = digits(max_iter=1, warm_start=True).fit(X, Y).set_params(**change)
        with pytest.raises(ValueError, match=r"layers and dtype .* last fit; set warm_start=False"):
            fitted.fit(X, Y)
        drawn = digits(max_iter=1).initialize(64).set_params(**change)
        with pytest.raises(ValueError, match=r"layers and dtype .*; call initialize\(64\)"):
            drawn.fit(X, Y)
        drawn.initialize(64).fit(X, Y)


def test_labels_that_y_lacks_can_be_named():
    network = digits(max_iter=1).fit(X[Y < 7], Y[Y < 7], classes=np.arange(10))
    assert list(network.classes_) == list(range(10))
    assert network.predict_proba(X).shape == (len(X), 10)


def test_dropout_takes_other_units_in_each_step_and_none_in_prediction():
    layers = [Linear(32), Activation("relu"), Dropout(0.5), Linear(10)]
    network = digits(layers, max_iter=2).fit(X, Y)
    np.testing.assert_array_equal(network.predict_proba(X), network.predict_proba(X))
    without = digits(max_iter=2).fit(X, Y)
    assert (network.parameters_.flat != without.parameters_.flat).any()


@pytest.mark.alone
def test_ctrl_c_leaves_a_usable_network():
    code = """
        import os, signal, threading, warnings
        import numpy as np
        import pellucid
        from pellucid.nn import Activation, Linear

        warnings.simplefilter("error")
        X = np.random.default_rng(0).normal(size=(4000, 20)).astype(np.float32)
        layers = [Linear(64), Activation("relu"), Linear(1)]
        network = pellucid.Network(layers, "squared_error", max_iter=2).fit(X, X[:, 0])
        start = network.parameters_.flat.copy()

        class InterruptsSoon:
            # A schedule, so that the signal comes when training has begun, however slow that is.
            sent = False
            def factor(self, step, n_steps):
                if step > 1000 and not self.sent:
                    self.sent = True
                    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
                return 1.0

        network.set_params(max_iter=10**9, schedule=InterruptsSoon())
        try:
            network.fit(X, X[:, 0], X_val=X[:100], y_val=X[:100, 0])
        except UserWarning as warning:
            print(warning)
        print(bool((network.parameters_.flat != start).any()), len(network.predict(X)))
        losses = network.validation_loss_curve_
        print(network.evaluate(X[:100], X[:100, 0])["loss"] <= losses[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == [
        "Training interrupted by user.",
        "True 4000",
        "True",
    ], done.stderr
    assert done.stderr == ""


def test_what_may_be_any_number_of_epochs_is_long_enough():
    """Adam at the default rate learns a table of a few rows in the default number of epochs."""
    network = digits(optimizer=Adam(0.01), batch_size=16, max_iter=40).fit(X[:200], Y[:200])
    assert network.score(X[:200], Y[:200]) == 1.0
