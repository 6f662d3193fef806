"""Checkpoints of every kind: a training that goes on is, to the bit, one that never stopped."""

import os
import pickle
import subprocess
import sys
import warnings
from contextlib import contextmanager, nullcontext

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from estimator_kinds import (
    CODES,
    KINDS,
    LABELS,
    NUMBERS,
    WEIGHTS,
    N,
    X,
    learned_by,
    network_layers,
)
from fuzzing.mutations import Source, change_arrays, change_header, signed
from option_values import log_cosh
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from pellucid import MLPRegressor, Network, NonFiniteError, fit_together, load
from pellucid.nn import (
    SGD,
    Activation,
    AdamW,
    BatchNorm,
    Columns,
    CustomLoss,
    Embedding,
    Linear,
    Residual,
    RMSProp,
)
from pellucid.persistence import ModelFileError, read_model_file
from pellucid.training import Outcome

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
#: One of each family, for what does not depend on the form of y.
FAMILIES = ("MLPRegressor", "Network, labels", "TabularClassifier")
each_family = pytest.mark.parametrize("kind", [KINDS[name] for name in FAMILIES], ids=FAMILIES)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def patient(kind):
    """Return settings with which training of that kind never ends by itself."""
    own = {"MLP": {"tol": 0.0, "n_iter_no_change": 99}, "Tabular": {"n_iter_no_change": 99}}
    return own.get(kind.family, {})


def remove_all_but_the_oldest(folder):
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()


def assert_goes_on(kind, make, given, folder, **changed):
    """Compare a training with one that goes on from the oldest checkpoint it has kept."""
    given = {"X": kind.X, "y": kind.y, **given}
    whole = make(checkpoint_path=folder, checkpoint_every=3).fit(**given)
    assert whole.n_iter_ > 3
    remove_all_but_the_oldest(folder)
    again = make(checkpoint_path=folder, **changed).resume(**given)
    assert learned_by(again) == learned_by(whole)
    return again


def squared(scores, targets, weights):
    residual = scores - targets
    return 0.5 * np.mean(residual**2), residual / residual.size


def of_mlp(**settings):
    return lambda kind: (settings, {}) if kind.family == "MLP" else None


def of_network(**settings):
    return lambda kind: (settings, {}) if kind.family == "Network" else None


def validation_set(kind):
    weights = {"sample_weight": WEIGHTS, "sample_weight_val": WEIGHTS[:40]}
    return {}, {"X_val": kind.X[:40], "y_val": kind.y[:40], **weights}


def held_out(kind):
    return None if kind.family == "Tabular" else kind.held_out


def scorer(kind):
    settings, given = kind.held_out
    return {**settings, "scoring": scorer_name(kind)}, given


def scorer_name(kind):
    return "accuracy" if kind.classifies else "neg_mean_absolute_error"


def class_weight(kind):
    return ({"class_weight": "balanced"}, {}) if kind.single_labels else None


def momentum(kind):
    if kind.family == "Network":
        return {"optimizer": SGD(0.01, 0.9)}, {}
    return ({"solver": "sgd"}, {}) if kind.family == "MLP" else None


def no_shuffling(kind):
    return None if kind.family == "Tabular" else ({"shuffle": False}, {})


def normalization(kind):
    if kind.family != "Network":
        return {"normalization": "batch", "residual": True, "hidden_layer_sizes": (6, 6)}, {}
    first, *others = network_layers(kind.n_outputs)
    return {"layers": [first, BatchNorm(), Residual([Linear(6), Activation("tanh")]), *others]}, {}


def schedules(kind):
    of_all = {"learning_rate": "one_cycle", "weight_decay": "cosine", "dropout": "cosine"}
    decay = {"optimizer": AdamW(0.01)} if kind.family == "Network" else {"weight_decay": 0.1}
    return {"schedule": of_all, "clipping": 1.0, **decay}, {}


def other_precision(kind):
    return {"dtype": "float32" if kind.family == "MLP" else "float64"}, {}


def no_seed(kind):
    return {"random_state": None}, {}


def own_loss(kind):
    if kind.family == "Network":
        return ({"loss": CustomLoss(squared)}, {}) if kind.y is NUMBERS else None
    return {"loss": log_cosh}, {}


def sparse(kind):
    return None if kind.family == "Tabular" else ({}, {"X": scipy.sparse.csr_array(kind.X)})


def frame(kind):
    if kind.family == "Tabular":
        return None
    return {}, {"X": pd.DataFrame(kind.X, columns=list("abcd"))}


VARIANTS = {
    "as it is": lambda kind: ({}, {}),
    "validation set": validation_set,
    "held-out rows": held_out,
    "scorer": scorer,
    "weights": lambda kind: ({}, {"sample_weight": WEIGHTS}),
    "class weights": class_weight,
    "momentum": momentum,
    "adaptive": of_mlp(solver="sgd", learning_rate="adaptive", tol=10.0, n_iter_no_change=1),
    "invscaling": of_mlp(solver="sgd", learning_rate="invscaling"),
    "no shuffling": no_shuffling,
    "normalization": normalization,
    "schedules": schedules,
    "learning rate factors": of_network(learning_rate_factors={"bias": 0.5}, alpha=0.1),
    "other precision": other_precision,
    "bfloat16": of_network(engine="reference", dtype="bfloat16"),
    "reference engine": of_network(engine="reference"),
    "no seed": no_seed,
    "own loss": own_loss,
    "sparse table": sparse,
    "data frame": frame,
}
CASES = {
    f"{name}, {variant}": (kind, *found)
    for name, kind in KINDS.items()
    for variant, settings_of in VARIANTS.items()
    if (found := settings_of(kind)) is not None
}


@pytest.mark.parametrize(("kind", "settings", "given"), CASES.values(), ids=CASES)
def test_what_a_training_depends_on_goes_on_to_the_bit(tmp_path, kind, settings, given):
    assert_goes_on(kind, lambda **own: kind.make(**settings, **own), given, tmp_path, n_threads=1)


@each_kind
def test_a_generator_goes_on_where_it_stood_and_is_not_touched(tmp_path, kind):
    def make(**own):
        return kind.make(random_state=np.random.RandomState(5), **own)

    again = assert_goes_on(kind, make, {}, tmp_path)
    state, untouched = (r.get_state() for r in (again.random_state, np.random.RandomState(5)))
    np.testing.assert_array_equal(state[1], untouched[1])


def test_the_adaptive_rate_had_fallen():
    """Else the case above would say nothing."""
    rates = []
    settings = VARIANTS["adaptive"](KINDS["MLPRegressor"])[0]
    KINDS["MLPRegressor"].make(
        **settings, callbacks=[lambda report: rates.append(report.learning_rate)]
    ).fit(X, NUMBERS)
    assert rates[3] < rates[0]


@pytest.mark.parametrize("every", [1, 3, 7])
@each_kind
def test_ten_epochs_and_ten_more_are_twenty(tmp_path, kind, every):
    settings, given = kind.held_out
    settings = {**settings, **patient(kind)}
    whole = kind.make(max_iter=20, **settings).fit(kind.X, kind.y, **given)
    settings |= {"checkpoint_path": str(tmp_path), "checkpoint_every": every}
    model = kind.make(max_iter=10, **settings).fit(kind.X, kind.y, **given)
    model.resume(kind.X, kind.y, max_iter=20, **given)
    assert learned_by(model) == learned_by(whole)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) == 20
    again = kind.make(max_iter=20, **settings).resume(kind.X, kind.y, **given)
    assert learned_by(again) == learned_by(whole)


class KilledError(Exception):
    """Stands for what ends a process."""


def raise_in(epoch, error):
    def callback(report):
        if report.epoch == epoch:
            raise error

    return [callback]


@each_kind
def test_after_an_error_the_last_checkpoint_is_gone_on_from(tmp_path, kind):
    """The error comes before the checkpoint of its epoch is written."""
    whole = kind.make().fit(kind.X, kind.y)
    dying = kind.make(checkpoint_path=tmp_path, callbacks=raise_in(5, KilledError))
    with pytest.raises(KilledError):
        dying.fit(kind.X, kind.y)
    assert dying.n_iter_ == 5
    assert max(path.name for path in tmp_path.iterdir()) == "epoch-000004.pellucid"
    again = kind.make(checkpoint_path=tmp_path).resume(kind.X, kind.y)
    assert learned_by(again) == learned_by(whole)


@each_kind
def test_ctrl_c_leaves_the_last_checkpoint_and_a_model_that_predicts(tmp_path, kind):
    whole = kind.make().fit(kind.X, kind.y)
    model = kind.make(checkpoint_path=tmp_path, callbacks=raise_in(5, KeyboardInterrupt))
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(kind.X, kind.y)
    assert model.outcome_ is Outcome.INTERRUPTED
    assert len(model.predict(kind.X)) == N
    model.set_params(callbacks=None).resume(kind.X, kind.y)
    assert learned_by(model) == learned_by(whole)


@each_family
def test_a_callback_that_ends_training_leaves_a_checkpoint(tmp_path, kind):
    model = kind.make(checkpoint_path=tmp_path, checkpoint_every=4)
    model.set_params(callbacks=[lambda report: report.epoch == 5]).fit(kind.X, kind.y)
    assert (model.outcome_, model.n_iter_) == (Outcome.STOPPED, 5)
    assert (tmp_path / "epoch-000005.pellucid").exists()
    again = model.set_params(callbacks=None).resume(kind.X, kind.y)
    assert learned_by(again) == learned_by(kind.make().fit(kind.X, kind.y))


@each_family
def test_training_that_has_converged_is_only_read(tmp_path, kind):
    settings, given = kind.held_out
    settings |= {"max_iter": 60, "n_iter_no_change": 2, "checkpoint_path": tmp_path}
    if kind.family != "Tabular":
        settings["tol"] = 10.0
    else:
        settings["learning_rate_init"] = 1e-9
    model = kind.make(**settings).fit(kind.X, kind.y, **given)
    assert model.outcome_ is Outcome.CONVERGED
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    with warnings.catch_warnings(action="error"):
        again = clone(model).resume(kind.X, kind.y, **given)
    assert learned_by(again) == learned_by(model)
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == before
    longer = clone(model).set_params(n_iter_no_change=5).resume(kind.X, kind.y, **given)
    whole = kind.make(**{**settings, "n_iter_no_change": 5, "checkpoint_path": None})
    assert learned_by(longer) == learned_by(whole.fit(kind.X, kind.y, **given))
    assert longer.n_iter_ == model.n_iter_ + 3


@each_family
def test_no_epoch_is_taken_back(tmp_path, kind):
    model = kind.make(checkpoint_path=tmp_path).fit(kind.X, kind.y)
    again = kind.make(checkpoint_path=tmp_path).resume(kind.X, kind.y, max_iter=3)
    assert learned_by(again) == learned_by(model)


def test_resume_warns_of_the_epochs_in_all(tmp_path):
    model = MLPRegressor(max_iter=9, checkpoint_path=tmp_path).fit(X, NUMBERS)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(14\) reached"):
        model.resume(X, NUMBERS, max_iter=14)


@each_kind
def test_a_warm_start_goes_on(tmp_path, kind):
    """In a new process neither the weights it started from nor the earlier epochs are there."""

    def make():
        model = kind.make(warm_start=True, **patient(kind)).fit(kind.X, kind.y)
        return model.set_params(random_state=5)

    whole = make().fit(kind.X, kind.y)
    model = make().set_params(checkpoint_path=tmp_path, callbacks=raise_in(5, KilledError))
    with pytest.raises(KilledError):
        model.fit(kind.X, kind.y)
    again = clone(model).set_params(callbacks=None).resume(kind.X, kind.y)
    assert learned_by(again) == learned_by(whole)
    assert (again.n_iter_, len(again.loss_curve_)) == (8, 16)


OTHER_ROWS = {
    "MLPClassifier, three labels": np.arange(20, N),
    "MLPRegressor": np.arange(20, N),
    "Network, labels": np.flatnonzero(LABELS != "maybe"),
    "Network, numbers": np.arange(20, N),
    "TabularClassifier": np.arange(15, N),
    "TabularRegressor": np.arange(15, N),
}


@pytest.mark.parametrize("name", OTHER_ROWS)
def test_a_warm_start_on_other_rows_goes_on(tmp_path, name):
    """They need not tell which labels there are, or what the encoder has learned of the columns."""
    kind, rows = KINDS[name], OTHER_ROWS[name]
    first = kind.X if kind.family == "Tabular" else pd.DataFrame(kind.X, columns=list("abcd"))
    table, y = first.iloc[rows], kind.y[rows]

    def make():
        return kind.make(warm_start=True, **patient(kind)).fit(first, kind.y)

    whole = make().fit(table, y)
    model = make().set_params(checkpoint_path=tmp_path, callbacks=raise_in(5, KilledError))
    with pytest.raises(KilledError):
        model.fit(table, y)
    dying = clone(model).set_params(callbacks=raise_in(7, KilledError))
    with pytest.raises(KilledError):
        dying.resume(table, y)
    again = clone(model).set_params(callbacks=None).resume(table, y)
    assert learned_by(again) == learned_by(whole)
    if kind.family == "Tabular":
        assert again.encoder_.recognized_ == whole.encoder_.recognized_


@pytest.mark.parametrize("name", ["Network, labels", "TabularClassifier"])
@pytest.mark.parametrize("before", [3, [1], {}, {"targets": {}}, {"targets": None}])
def test_a_file_that_tells_nothing_of_the_fit_before_is_refused(tmp_path, name, before):
    kind = KINDS[name]
    model = kind.make(warm_start=True).fit(kind.X, kind.y)
    model.set_params(checkpoint_path=tmp_path).fit(kind.X, kind.y)
    for path in tmp_path.iterdir():
        header, arrays = read_model_file(path)
        assert header["checkpoint"]["own"]["before"]
        header["checkpoint"]["own"]["before"] = before
        path.write_bytes(signed(header, arrays))
    error = try_to_resume(kind, model, tmp_path / "any")
    assert isinstance(error, ModelFileError)


def test_a_fitted_model_of_other_labels_can_resume(tmp_path):
    for name, other_y in (("MLPClassifier, three labels", X[:, 0] > 0), ("Network, labels", CODES)):
        kind, folder = KINDS[name], tmp_path / name
        model = kind.make(checkpoint_path=folder).fit(kind.X, kind.y)
        other = clone(model).set_params(checkpoint_path=None).fit(X[:, :2], other_y)
        other.set_params(checkpoint_path=folder, warm_start=True).resume(kind.X, kind.y)
        assert learned_by(other) == learned_by(model)


def test_a_training_that_diverges_does_so_again(tmp_path):
    held_out = {"rows_val": np.arange(10)}

    def make(**own):
        layers = [Linear(9), Activation("relu"), Linear(1)]
        settings = {"optimizer": SGD(1e5), "max_iter": 30, "random_state": 0, **own}
        return Network(layers, "half_squared_error", **settings)

    with pytest.warns(ConvergenceWarning, match="diverged"):
        whole = make().fit(X, NUMBERS, **held_out)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        make(checkpoint_path=tmp_path).fit(X, NUMBERS, **held_out)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        again = make(checkpoint_path=tmp_path).resume(X, NUMBERS, **held_out)
    np.testing.assert_array_equal(again.parameters_.flat, whole.parameters_.flat)
    assert again.outcome_ is Outcome.DIVERGED


@pytest.mark.parametrize("name", ["MLPClassifier, three labels", "MLPRegressor"])
def test_after_resume_partial_fit_and_warm_start_go_on_as_after_fit(tmp_path, name):
    kind = KINDS[name]
    whole = kind.make().fit(kind.X, kind.y)
    model = kind.make(max_iter=4, checkpoint_path=tmp_path).fit(kind.X, kind.y)
    model.resume(kind.X, kind.y, max_iter=8).set_params(checkpoint_path=None)
    for each in (whole, model):
        each.partial_fit(kind.X, kind.y).partial_fit(kind.X, kind.y)
    assert learned_by(model) == learned_by(whole)
    for each in (whole, model):
        each.set_params(warm_start=True, max_iter=2).fit(kind.X, kind.y)
    assert learned_by(model) == learned_by(whole)


def test_partial_fit_keeps_no_checkpoints(tmp_path):
    settings = {"max_iter": 3, "random_state": 0}
    model, plain = MLPRegressor(checkpoint_path=tmp_path, **settings), MLPRegressor(**settings)
    for each in (model, plain):
        each.partial_fit(X, NUMBERS).partial_fit(X, NUMBERS)
    assert not list(tmp_path.iterdir())
    assert learned_by(model) == learned_by(plain)


@each_kind
def test_checkpoints_change_nothing_and_stay_in_copies_but_not_in_files(tmp_path, kind):
    folder = tmp_path / "run"
    model = kind.make(checkpoint_path=folder).fit(kind.X, kind.y)
    assert learned_by(model) == learned_by(kind.make().fit(kind.X, kind.y))
    assert pickle.loads(pickle.dumps(model)).checkpoint_path == folder
    model.save(tmp_path / "model.pellucid")
    loaded = load(tmp_path / "model.pellucid")
    assert loaded.checkpoint_path is None
    loaded.set_params(checkpoint_path=folder).resume(kind.X, kind.y)
    assert learned_by(loaded) == learned_by(model)


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("optimizer", [SGD(0.01, 0.9), AdamW(1e-2), RMSProp(1e-3)])
def test_embeddings_whose_rows_take_lazy_steps_go_on(tmp_path, optimizer, engine):
    ids = np.random.default_rng(1).integers(0, 40, N)
    table = np.column_stack([ids, X[:, 1:]])
    layers = [Columns([(1, Embedding(40, 3)), (3, Activation("identity"))]), Linear(1)]

    def make(max_iter, **own):
        settings = {"optimizer": optimizer, "batch_size": 8, "random_state": 0, **own}
        return Network(layers, "half_squared_error", engine=engine, max_iter=max_iter, **settings)

    whole = make(6).fit(table, NUMBERS)
    again = make(3, checkpoint_path=tmp_path).fit(table, NUMBERS)
    again.resume(table, NUMBERS, max_iter=6)
    assert learned_by(again) == learned_by(whole)


def test_a_recording_begins_where_training_went_on(tmp_path):
    settings = {"checkpoint_path": tmp_path, "batch_size": 40, "random_state": 0}
    layers = [Linear(3)]
    Network(layers, "softmax_cross_entropy", max_iter=2, **settings).fit(X, LABELS)
    network = Network(layers, "softmax_cross_entropy", max_iter=4, record=1, **settings)
    network.resume(X, LABELS)
    replayed = network.replay(12)
    np.testing.assert_array_equal(replayed.after.flat, network.parameters_.flat)
    assert network.replay(7).epoch == 2
    with pytest.raises(ValueError, match="step must be 7 to 12"):
        network.replay(6)


def test_models_fitted_together_keep_checkpoints_in_a_folder_each(tmp_path):
    kinds = [KINDS[name] for name in ("MLPClassifier, three labels", "Network, labels")]
    models = [kind.make(checkpoint_path=tmp_path / kind.family) for kind in kinds]
    fit_together(models, X, LABELS)
    for kind, model in zip(kinds, models, strict=True):
        again = kind.make(checkpoint_path=tmp_path / kind.family).resume(X, LABELS)
        assert learned_by(again) == learned_by(model)
    models = [kind.make(checkpoint_path=tmp_path / "one") for kind in kinds]
    with pytest.raises(ValueError, match="checkpoint_path must be another folder for each"):
        fit_together(models, X, LABELS)
    assert not (tmp_path / "one").exists()


def test_scikit_learns_callbacks_follow(tmp_path):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")
    monitor = callback.ScoringMonitor(scoring="r2")
    model = MLPRegressor(max_iter=9, checkpoint_path=tmp_path).fit(X, NUMBERS)
    model.set_callbacks(monitor)
    model.resume(X, NUMBERS, max_iter=29)  # more than the constructor's
    assert model.n_iter_ == 29
    epochs = [row["task_name"] for row in monitor.get_logs().data if "epoch" in row["task_name"]]
    assert epochs == [f"epoch {k}" for k in range(10, 30)]
    model.resume(X, NUMBERS)  # there is nothing left to do
    assert model.n_iter_ == 29


OTHER_DATA = {
    "X": {"X": lambda kind: kind.X[::-1]},
    "y": {"y": lambda kind: kind.y[::-1]},
    "sample_weight": {"sample_weight": lambda kind: WEIGHTS},
    "X_val": {"X_val": lambda kind: kind.X[:40], "y_val": lambda kind: kind.y[:40]},
}


@pytest.mark.parametrize("name", OTHER_DATA)
@each_kind
def test_a_checkpoint_of_other_data_is_refused(tmp_path, kind, name):
    kind.make(checkpoint_path=tmp_path).fit(kind.X, kind.y)
    given = {"X": kind.X, "y": kind.y}
    given |= {key: value(kind) for key, value in OTHER_DATA[name].items()}
    model = kind.make(checkpoint_path=tmp_path)
    with pytest.raises(ValueError, match=f"[ ;]{name} was .* and is ") as raised:
        model.resume(**given)
    assert "is a checkpoint of another training" in str(raised.value)
    assert "call fit, or name another checkpoint_path" in str(raised.value)
    assert vars(model) == vars(kind.make(checkpoint_path=tmp_path))


def test_other_tables_are_told_in_words(tmp_path):
    MLPRegressor(max_iter=2, checkpoint_path=tmp_path).fit(X, NUMBERS)
    others = {
        r"X was float64 \(120, 4\) .* and is float64 \(120, 3\)": X[:, :3],
        r"X was float64 .* and is float32": X.astype(np.float32),
        r"X was float64 .* and is sparse float64": scipy.sparse.csr_array(X),
    }
    for message, other in others.items():
        with pytest.raises(ValueError, match=message):
            MLPRegressor(max_iter=2, checkpoint_path=tmp_path).resume(other, NUMBERS)


OTHER_SETTINGS = {
    "MLPRegressor": {
        r"hidden_layer_sizes was \[6\] and is \[7\]": {"hidden_layer_sizes": (7,)},
        "alpha was 0.0001 and is 0.1": {"alpha": 0.1},
        "random_state was 3 and is 4": {"random_state": 4},
        "solver was 'adam' and is 'sgd'": {"solver": "sgd"},
        "dropout was 0.2 and is 0.5": {"dropout": 0.5},
        "loss was 'squared_error' and is 'huber'": {"loss": "huber"},
        "dtype was None and is 'float32'": {"dtype": "float32"},
        "early_stopping was False and is True": {"early_stopping": True},
    },
    "Network, labels": {
        r"layers was \[Linear\(.* and is \[Linear\(": {"layers": network_layers(3, 0.3)},
        r"loss was 'softmax_cross_entropy' and is CustomLoss\(": {"loss": CustomLoss(squared)},
        "dtype was 'float32' and is 'float64'": {"dtype": "float64"},
        "engine was 'native' and is 'reference'": {"engine": "reference"},
        r"optimizer was None and is SGD\(": {"optimizer": SGD(0.1)},
        "batch_size was 32 and is 64": {"batch_size": 64},
        "random_state was 3 and is 4": {"random_state": 4},
        "shuffle was True and is False": {"shuffle": False},
        "class_weight was None and is 'balanced'": {"class_weight": "balanced"},
        "schedule was None and is 'one_cycle'": {"schedule": "one_cycle"},
    },
    "TabularClassifier": {
        "columns was None and is {'a': 'left out'}": {"columns": {"a": "left out"}},
        "dtype was 'float32' and is 'float64'": {"dtype": "float64"},
        "label_smoothing was 0.0 and is 0.1": {"label_smoothing": 0.1},
        "validation_fraction was 0.1 and is 0.2": {"validation_fraction": 0.2},
        "random_state was 3 and is 4": {"random_state": 4},
    },
}


@pytest.mark.parametrize(
    ("name", "message"),
    [(name, text) for name, all_of in OTHER_SETTINGS.items() for text in all_of],
)
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, name, message):
    kind = KINDS[name]
    kind.make(checkpoint_path=tmp_path).fit(kind.X, kind.y)
    settings = OTHER_SETTINGS[name][message]
    model = kind.make(**settings, checkpoint_path=tmp_path)
    y = X[:, :3] if "loss" in settings and kind.family == "Network" else kind.y
    with pytest.raises(ValueError, match=message):
        model.resume(kind.X, y)


def test_a_checkpoint_of_another_class_is_refused(tmp_path):
    for kind in KINDS.values():
        kind.make(checkpoint_path=tmp_path).fit(kind.X, kind.y)
        was = type(kind.make()).__name__
        for other in KINDS.values():
            now = type(other.make()).__name__
            if now != was:
                with pytest.raises(ValueError, match=f"model was {was} and is {now}"):
                    other.make(checkpoint_path=tmp_path).resume(other.X, other.y)


@each_kind
def test_a_refusal_leaves_a_fitted_model_as_it_was(tmp_path, kind):
    model = kind.make(checkpoint_path=tmp_path).fit(kind.X, kind.y)
    before, known = vars(model).copy(), learned_by(model)
    with pytest.raises(ValueError, match="another training"):
        model.resume(kind.X[::-1], kind.y)
    assert {k: id(v) for k, v in vars(model).items()} == {k: id(v) for k, v in before.items()}
    assert learned_by(model) == known


@each_kind
def test_what_may_differ_does(tmp_path, kind):
    whole = kind.make(**patient(kind)).fit(kind.X, kind.y)
    kind.make(max_iter=4, checkpoint_path=tmp_path).fit(kind.X, kind.y)
    free = {"n_threads": 1, "verbose": False, "callbacks": [lambda report: None]}
    free |= {"checkpoint_every": 5, "warm_start": True, **patient(kind)}
    if kind.family == "Network":
        free |= {"record": 1, "n_iter_no_change": 50, "tol": 1e-9}
    model = kind.make(**free, checkpoint_path=str(tmp_path)).resume(kind.X, kind.y)
    assert learned_by(model) == learned_by(whole)


@each_family
def test_a_schedule_keeps_its_length(tmp_path, kind):
    settings = {"schedule": "cosine", "checkpoint_path": tmp_path}
    model = kind.make(**settings).fit(kind.X, kind.y)
    message = r"max_iter=10 is more than the max_iter=8 .* schedule was made for"
    with pytest.raises(ValueError, match=message):
        model.resume(kind.X, kind.y, max_iter=10)
    with pytest.raises(ValueError, match="max_iter was 8 and is 12"):
        model.set_params(max_iter=12).resume(kind.X, kind.y)


@pytest.mark.parametrize("method", ["fit", "resume"])
@pytest.mark.parametrize(
    "settings",
    [{"checkpoint_path": 3}, {"checkpoint_path": ""}, {"checkpoint_every": 0}]
    + [{"checkpoint_every": 1.5}, {"checkpoint_every": True}],
    ids=str,
)
@each_family
def test_wrong_parameters_are_named(tmp_path, kind, settings, method):
    (name,) = settings
    kind.make(checkpoint_path=tmp_path, checkpoint_every=8).fit(kind.X, kind.y)
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    model = kind.make(**{"checkpoint_path": tmp_path, **settings})
    with pytest.raises((TypeError, ValueError), match=f"{name}\\b.* must\\b"):
        getattr(model, method)(kind.X, kind.y)
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == before


@each_family
def test_without_a_folder_there_is_nothing_to_resume(tmp_path, kind):
    with pytest.raises(ValueError, match="checkpoint_path is None; set it"):
        kind.make().resume(kind.X, kind.y)
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ModelFileError, match="holds no checkpoint to go on from"):
            kind.make(checkpoint_path=path).resume(kind.X, kind.y)


@pytest.mark.parametrize("max_iter", [0, -1, 1.5, True, "2"])
@each_family
def test_a_wrong_number_of_epochs_is_named(tmp_path, kind, max_iter):
    model = kind.make(checkpoint_path=tmp_path).fit(kind.X, kind.y)
    with pytest.raises(ValueError, match=f"max_iter is the number of epochs .* got {max_iter!r}"):
        model.resume(kind.X, kind.y, max_iter=max_iter)


def test_what_keeps_no_checkpoints_is_named(tmp_path):
    model = MLPRegressor(solver="lbfgs", checkpoint_path=tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint_path .* which solver='lbfgs' does not take"):
        model.fit(X, NUMBERS)
    with pytest.raises(ValueError, match="resume goes on from the end of an epoch, which solver="):
        model.resume(X, NUMBERS)
    generator = np.random.RandomState(np.random.PCG64(0))
    model = MLPRegressor(random_state=generator, checkpoint_path=tmp_path)
    with pytest.raises(TypeError, match=r"random_state such as 0 .* got one of PCG64"):
        model.fit(X, NUMBERS)
    assert not hasattr(model, "coefs_")
    assert not list(tmp_path.iterdir())


@contextmanager
def without_rights():
    """Be a user who may not enter the folders of this one."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


PLACES = {
    "a file": lambda folder: folder / "file",
    "inside a file": lambda folder: folder / "file" / "inside",
    "a name too long": lambda folder: folder / ("a" * 300),
    "a path too long": lambda folder: folder / "/".join(["a" * 200] * 30),
    "a zero in the name": lambda folder: folder / "a\0b",
    "no text": lambda folder: folder / "\ud800",
    "a forbidden folder": lambda folder: folder / "forbidden" / "run",
}


@pytest.mark.parametrize("method", ["fit", "resume"])
@pytest.mark.parametrize("place", PLACES)
@each_family
def test_a_folder_that_cannot_be_used_is_named_before_training(tmp_path, kind, place, method):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "forbidden").mkdir(mode=0)
    model = kind.make(checkpoint_path=PLACES[place](tmp_path))
    rights = without_rights() if place == "a forbidden folder" else nullcontext()
    with rights, pytest.raises(ModelFileError, match="checkpoint_path="):
        getattr(model, method)(kind.X, kind.y)
    assert vars(model) == vars(clone(model))
    assert (tmp_path / "file").read_text() == "mine"


@each_family
def test_a_checkpoint_that_cannot_be_written_does_not_cost_the_training(tmp_path, kind):
    """Something is in the place of two of them; what comes later is written."""

    def block(report):
        if report.epoch == 1:
            for epoch in (2, 3):
                (tmp_path / f"epoch-00000{epoch}.pellucid").mkdir()

    whole = kind.make(max_iter=4).fit(kind.X, kind.y)
    model = kind.make(max_iter=4, checkpoint_path=tmp_path, callbacks=[block])
    with pytest.warns(UserWarning, match="epoch 2 is missing.* is a directory") as caught:
        model.fit(kind.X, kind.y)
    assert [w.category for w in caught].count(UserWarning) == 1
    assert learned_by(model) == learned_by(whole)
    assert (tmp_path / "epoch-000004.pellucid").is_file()


@each_family
def test_a_full_disk_does_not_cost_the_training(tmp_path, kind, monkeypatch):
    """It is full in epochs 2 and 3, and has room again in epoch 4."""

    def full(*_):
        raise OSError(28, "No space left on device")

    def fill(report):
        if report.epoch == 2:
            monkeypatch.setattr(os, "fsync", full)
        elif report.epoch == 4:
            monkeypatch.undo()

    whole = kind.make(max_iter=5).fit(kind.X, kind.y)
    model = kind.make(max_iter=5, checkpoint_path=tmp_path, callbacks=[fill])
    with pytest.warns(UserWarning, match=r"epoch 2 is missing.*No space left.*goes on") as caught:
        model.fit(kind.X, kind.y)
    assert [w.category for w in caught].count(UserWarning) == 1
    assert learned_by(model) == learned_by(whole)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"epoch-00000{k}.pellucid" for k in (1, 4, 5)]
    other = kind.make(checkpoint_path=tmp_path / "other")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelFileError, match="No space left"):
        other.fit(kind.X, kind.y)


@each_kind
def test_a_damaged_checkpoint_is_left_out_with_a_warning(tmp_path, kind):
    whole = kind.make(checkpoint_path=tmp_path).fit(kind.X, kind.y)
    newest = tmp_path / "epoch-000008.pellucid"
    newest.write_bytes(newest.read_bytes()[:-5])
    model = kind.make(checkpoint_path=tmp_path)
    with pytest.warns(UserWarning, match=r"000008.* is .*Going on from epoch-000007.pellucid"):
        model.resume(kind.X, kind.y)
    assert learned_by(model) == learned_by(whole)
    assert learned_by(model.resume(kind.X, kind.y)) == learned_by(whole)


@each_family
def test_what_is_no_checkpoint_is_named(tmp_path, kind):
    path = tmp_path / "epoch-000003.pellucid"
    path.write_bytes(b"nothing")
    model = kind.make(checkpoint_path=tmp_path)
    with pytest.raises(ModelFileError, match="holds no checkpoint that is whole"):
        model.resume(kind.X, kind.y)
    kind.make().fit(kind.X, kind.y).save(path)
    with pytest.raises(ModelFileError, match="do not make a checkpoint"):
        model.resume(kind.X, kind.y)
    model.set_params(checkpoint_path=tmp_path / "run").fit(kind.X, kind.y)
    with pytest.raises(ModelFileError, match="is a checkpoint of a training, no model"):
        load(tmp_path / "run" / "epoch-000008.pellucid")


@each_family
def test_a_new_fit_replaces_the_checkpoints_of_an_earlier_one(tmp_path, kind):
    kind.make(checkpoint_path=tmp_path).fit(kind.X, kind.y)
    (tmp_path / ".epoch-000003.pellucid.0123456789abcdef.part").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    kind.make(checkpoint_path=tmp_path, max_iter=2, random_state=1).fit(kind.X, kind.y)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"epoch-00000{k}.pellucid" for k in range(3)] + ["notes.txt"]


def numbers_of_the_run(name, value):
    def craft(header, arrays):
        header["checkpoint"]["run"][name] = value

    return craft


def order(name, value):
    def craft(header, arrays):
        header["checkpoint"]["run"]["order"][name] = value

    return craft


def array(name, change):
    def craft(header, arrays):
        if name in arrays:
            arrays[name] = np.ascontiguousarray(change(arrays[name]))
        else:
            header["checkpoint"] = None

    return craft


def without(*path):
    def craft(header, arrays):
        inner = header
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]

    return craft


def to(*path, value):
    def craft(header, arrays):
        inner = header
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return craft


CRAFTS = {
    "epochs beyond the engine's": numbers_of_the_run("trainer_epoch", 2**40),
    "negative steps": numbers_of_the_run("step", -1),
    "steps beyond any": numbers_of_the_run("step", 10**400),
    "a text for a number": numbers_of_the_run("n_epochs", "8"),
    "a number for a boolean": numbers_of_the_run("has_converged", 1),
    "an infinite rate": numbers_of_the_run("learning_rate", float("inf")),
    "an order that is no mapping": numbers_of_the_run("order", [1]),
    "no run": without("checkpoint", "run"),
    "no step": without("checkpoint", "run", "step"),
    "no fingerprint": without("checkpoint", "of"),
    "no own": without("checkpoint", "own"),
    "an empty own": to("checkpoint", "own", value={}),
    "an own that is no mapping": to("checkpoint", "own", value=[1]),
    "a checkpoint that is no mapping": to("checkpoint", value=3),
    "a run that is no mapping": to("checkpoint", "run", value="run"),
    "a curve of two dimensions": array("history.losses", lambda a: a[:, None]),
    "a curve of no dimension": array("history.losses", lambda a: a[0]),
    "a curve of integers": array("history.losses", lambda a: a.astype(np.int64)),
    "a curve too short": array("history.losses", lambda a: a[:-1]),
    "moments of other parameters": array("optimizer.first", lambda a: a[:-1]),
    "moments of two dimensions": array("optimizer.second", lambda a: a[None]),
    "moments of another precision": array("optimizer.second", lambda a: a.astype(np.float16)),
    "parameters that are not finite": array("parameters", lambda a: np.full_like(a, np.nan)),
    "parameters of integers": array("parameters", lambda a: a.astype(np.int64)),
    "fewer parameters": array("parameters", lambda a: a[:-1]),
}
CRAFTS_OF_ORDERS = {
    "rows of no dimension": array("order.rows", lambda a: a[0]),
    "rows of two dimensions": array("order.rows", lambda a: a[None]),
    "rows beyond the table": array("order.rows", lambda a: a + 10**9),
    "one row twice": array("order.rows", lambda a: np.where(a == a[0], a[1], a)),
    "fewer rows": array("order.rows", lambda a: a[:-1]),
    "rows that are no integers": array("order.rows", lambda a: a + 0.5),
    "a key of no dimension": array("order.key", lambda a: a[0]),
    "a short key": array("order.key", lambda a: a[:-1]),
    "a key of floats": array("order.key", lambda a: a.astype(np.float64)),
    "a generator beyond its end": order("pos", 10**6),
    "a generator before its start": order("pos", -1),
    "a generator at no place": order("pos", None),
    "a place that is a list": order("pos", [3]),
    "a gauss beyond floats": order("gauss", 10**400),
    "the start of a short key": array("own.start.key", lambda a: a[:-1]),
    "the start of a key of no dimension": array("own.start.key", lambda a: a[0]),
    "calls that are negative": to("checkpoint", "own", "n_partial_fits", value=-1),
    "calls that are no number": to("checkpoint", "own", "n_partial_fits", value=None),
}


def crafts_of(kind):
    return CRAFTS if kind.family == "Network" else {**CRAFTS, **CRAFTS_OF_ORDERS}


CLASSES = (*FAMILIES, "MLPClassifier, several labels a row", "TabularRegressor")
CRAFTED = [(name, craft) for name in CLASSES for craft in crafts_of(KINDS[name])]


@pytest.fixture(scope="module")
def whole_checkpoints(tmp_path_factory):
    """For each kind the newest checkpoint of a training, and a fitted model."""
    found = {}
    for name, kind in KINDS.items():
        folder = tmp_path_factory.mktemp("run")
        model = kind.make(checkpoint_path=folder).fit(kind.X, kind.y)
        found[name] = model, (folder / "epoch-000008.pellucid").read_bytes()
    return found


def try_to_resume(kind, model, path):
    """Resume for two more epochs; return the error, after which the model is as it was."""
    model.set_params(checkpoint_path=path.parent)
    before = {name: id(value) for name, value in vars(model).items()}
    try:
        model.resume(kind.X, kind.y, max_iter=10)
    except ValueError as error:
        if not isinstance(error, NonFiniteError):
            assert {name: id(value) for name, value in vars(model).items()} == before
        return error
    return None


@pytest.mark.parametrize(("name", "craft"), CRAFTED)
def test_a_file_made_by_hand_is_refused(tmp_path, whole_checkpoints, name, craft):
    """It must not lead the engine, or NumPy, out of an array."""
    kind, path = KINDS[name], tmp_path / "epoch-000008.pellucid"
    model, data = whole_checkpoints[name]
    path.write_bytes(data)
    header, arrays = read_model_file(path)
    crafts_of(kind)[craft](header, arrays)
    path.write_bytes(signed(header, arrays))
    error = try_to_resume(kind, pickle.loads(pickle.dumps(model)), path)
    assert isinstance(error, ModelFileError)
    assert "do not make a checkpoint" in str(error)


@pytest.mark.parametrize("name", CLASSES)
def test_any_mutation_is_refused_or_gone_on_from(tmp_path, whole_checkpoints, name):
    """`ModelFileError`, or `ValueError` where it is of another training; no other exception."""
    kind, path = KINDS[name], tmp_path / "epoch-000008.pellucid"
    model, data = whole_checkpoints[name]
    original, n_refused = pickle.dumps(model), 0
    source, rng = Source.of(data), np.random.default_rng(len(name))
    for i in range(50):
        for other in tmp_path.iterdir():
            other.unlink()
        mutate = change_arrays if i % 3 == 0 else change_header
        path.write_bytes(mutate(source, rng, source))
        error = try_to_resume(kind, pickle.loads(original), path)
        if error is not None and not isinstance(error, ModelFileError | NonFiniteError):
            assert "is a checkpoint of another training" in str(error)
        n_refused += isinstance(error, ModelFileError)
    assert n_refused > 15


KILLING = """
import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from pellucid import MLPRegressor, Network, TabularRegressor
from pellucid.nn import Activation, Dropout, Linear

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(300, 20))
y = (X[:, :3] ** 2).sum(axis=1)
TABLE = pd.DataFrame(X).add_prefix("column ")
SHARED = dict(max_iter=16, batch_size=10, n_threads=1, random_state=0)
LAYERS = [Linear(100), Activation("relu"), Dropout(0.1), Linear(100), Linear(1)]
SETTINGS = dict(hidden_layer_sizes=(100, 100), dropout=0.1, n_iter_no_change=20, **SHARED)
KINDS = {
    "perceptron": (lambda: MLPRegressor(early_stopping=True, tol=0.0, **SETTINGS), X, {}),
    "network": (
        lambda: Network(LAYERS, "half_squared_error", **SHARED), X, {"rows_val": np.arange(50)}
    ),
    "tabular": (lambda: TabularRegressor(**SETTINGS), TABLE, {}),
}


def train(name, folder, reports, n_epochs):
    '''Go on in a process of its own, which waits for its end after so many epochs.'''
    told = 0

    def tell(report):
        nonlocal told
        os.write(reports, b".")
        told += 1
        while told >= n_epochs:
            signal.pause()

    make, table, given = KINDS[name]
    model = make().set_params(checkpoint_path=folder, callbacks=[tell])
    method = model.resume if any(folder.glob("epoch-*")) else model.fit
    flat = method(table, y, **given).parameters_.flat
    np.save(folder / "unfinished.npy", flat)
    os.replace(folder / "unfinished.npy", folder / "result.npy")
    os._exit(0)


def start(name, folder, n_epochs):
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        train(name, folder, writing, n_epochs)
    os.close(writing)
    return process, reading


def newest(folder):
    return max((int(path.name[6:12]) for path in folder.glob("epoch-*")), default=-1)


rng = np.random.default_rng(0)
for name in KINDS:
    whole, killed = Path("whole", name), Path("killed", name)
    process, reading = start(name, whole, 10**9)
    os.close(reading)
    assert os.waitpid(process, 0)[1] == 0
    while not (killed / "result.npy").exists():
        # Kill it at a random moment of the next two epochs. After two of them a checkpoint is new,
        # so that this ends, whatever the machine.
        n_before = int(rng.integers(4))
        process, reading = start(name, killed, n_before + 2)
        times = [time.monotonic()]
        while len(times) <= n_before and os.read(reading, 1):
            times.append(time.monotonic())
        if len(times) > n_before:
            epoch = times[-1] - times[-2] if len(times) > 2 else 0.01
            time.sleep(rng.uniform(0.0, 2.0) * epoch)
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(reading)
        print(name, newest(killed), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_process_killed_at_random_moments_ends_with_the_same_models(tmp_path):
    """Every attempt is a process of its own; they share one import of the library, to be quick."""
    command = [sys.executable, "-c", KILLING]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    for name in ("perceptron", "network", "tabular"):
        reached = [int(epoch) for kind, epoch in lines if kind == name]
        assert reached == sorted(reached), "nothing that was reached is lost"
        assert len(set(reached)) > 3, "kills came while it trained"
        folders = [tmp_path / each / name for each in ("whole", "killed")]
        assert not list(folders[1].rglob(".*")), "nothing half written is left"
        np.testing.assert_array_equal(*(np.load(each / "result.npy") for each in folders))
