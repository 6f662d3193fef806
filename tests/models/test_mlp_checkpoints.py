"""`resume` of the perceptrons: to the bit what `fit` would have given, if it had not ended."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from pellucid import MLPClassifier, MLPRegressor, Network, load
from pellucid.nn import Activation, Linear
from pellucid.persistence import ModelFileError, read_model_file, write_model_file

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
LABELS = np.array(["no", "yes", "maybe"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
NUMBERS = X @ RNG.normal(size=4)
WEIGHTS = RNG.random(60)
SMALL = {"hidden_layer_sizes": (6,), "random_state": 3, "batch_size": 16, "max_iter": 9}
CASES = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "no shuffling": {"solver": "sgd", "shuffle": False},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "early stopping without shuffling": {"early_stopping": True, "shuffle": False},
    "no seed": {"random_state": None, "early_stopping": True, "dropout": 0.2},
    "generator": {"random_state": np.random.RandomState(5)},
    "dropout, batch normalization": {"dropout": 0.2, "normalization": "batch"},
    "residual": {"hidden_layer_sizes": (6, 6), "residual": True, "normalization": "rms"},
    "AdamW, schedule": {"weight_decay": 0.1, "schedule": "one_cycle", "clipping": 1.0},
    "single precision": {"dtype": "float32"},
    "scorer": {"early_stopping": True, "scoring": "neg_mean_squared_error"},
    "own loss": {"loss": lambda s, t, w: (0.5 * np.mean((s - t) ** 2), (s - t) / s.size)},
}
GIVEN = {
    "nothing else": {},
    "weights": {"sample_weight": WEIGHTS},
    "validation set": {"X_val": X[:20], "y_val": NUMBERS[:20], "sample_weight_val": WEIGHTS[:20]},
}
FREE = ("checkpoint_path", "checkpoint_every", "max_iter")


@pytest.fixture(autouse=True)
def _short_trainings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


class KilledError(Exception):
    """Stands for what ends a process."""


def die_after(epoch):
    def callback(report):
        if report.epoch == epoch + 1:
            raise KilledError

    return callback


def state_of(model):
    """Return all that training leaves, but for what may differ."""
    known = {name: value for name, value in vars(model).items() if name.endswith("_")}
    del known["coefs_"], known["intercepts_"]
    flat = model.parameters_.flat
    moments = [np.asarray(moment).tobytes() for moment in model._optimizer.trainer.optimizer]
    learned = {name: np.asarray(value).tolist() for name, value in known.items()}
    numbers = (model._optimizer.learning_rate, model._no_improvement_count)
    return learned, numbers, flat.dtype, flat.tobytes(), moments


def assert_resumes(make, data, folder, killed_after=4, **set_again):
    """Compare a fit that is killed after an epoch and goes on with one that is not."""
    shared = check_random_state(None)
    start = shared.get_state()
    whole = make().fit(*data["args"], **data.get("kwargs", {}))
    shared.set_state(start)  # for random_state=None; what resumes finds it elsewhere
    keeping = {"checkpoint_path": folder, "callbacks": [die_after(killed_after)]}
    with pytest.raises(KilledError):
        make().set_params(**keeping).fit(*data["args"], **data.get("kwargs", {}))
    again = make().set_params(checkpoint_path=folder, **set_again)
    again.resume(*data["args"], **data.get("kwargs", {}))
    assert state_of(again) == state_of(whole)
    return again


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("case", CASES)
def test_a_killed_regression_goes_on_to_the_bit(tmp_path, case, given):
    if case == "own loss" and given == "validation set":
        given = "weights"
    settings = {**SMALL, **CASES[case]}
    generator = settings["random_state"]

    def make():
        own = {}
        if isinstance(generator, np.random.RandomState):
            own["random_state"] = np.random.RandomState(5)
        return MLPRegressor(**{**settings, **own})

    assert_resumes(make, {"args": (X, NUMBERS), "kwargs": GIVEN[given]}, tmp_path)


LABEL_CASES = {
    "three labels": (LABELS, {}),
    "balanced, smoothed": (LABELS, {"class_weight": "balanced", "label_smoothing": 0.1}),
    "two labels, held out": (X[:, 0] > 0, {"early_stopping": True}),
    "several labels": ((X > 0).astype(int), {"early_stopping": True, "solver": "sgd"}),
}


@pytest.mark.parametrize("case", LABEL_CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_killed_classification_goes_on_to_the_bit(tmp_path, case, dtype):
    y, settings = LABEL_CASES[case]
    again = assert_resumes(
        lambda: MLPClassifier(**SMALL, **settings), {"args": (X.astype(dtype), y)}, tmp_path
    )
    assert again.coefs_[0].dtype == dtype
    np.testing.assert_array_equal(again.classes_, np.unique(y) if y.ndim == 1 else np.arange(4))


@pytest.mark.parametrize("every", [1, 3, 4])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_ten_epochs_and_ten_more_are_twenty(tmp_path, every, solver):
    settings = {**SMALL, "tol": 0.0, "solver": solver, "early_stopping": True}
    whole = MLPRegressor(**{**settings, "max_iter": 20}).fit(X, NUMBERS)
    settings |= {"checkpoint_path": str(tmp_path), "checkpoint_every": every}
    model = MLPRegressor(**{**settings, "max_iter": 10}).fit(X, NUMBERS)
    model.resume(X, NUMBERS, max_iter=10)
    assert state_of(model) == state_of(whole)
    assert model.n_iter_ == 20
    assert len(model.loss_curve_) == len(model.validation_scores_) == 20


def test_the_adaptive_rate_had_fallen(tmp_path):
    """Else the case above would say nothing."""
    model = MLPRegressor(**{**SMALL, **CASES["adaptive"]}, checkpoint_path=tmp_path)
    assert model.fit(X, NUMBERS)._optimizer.learning_rate < 1e-3


def test_training_that_has_converged_is_only_read(tmp_path):
    settings = {**SMALL, "max_iter": 100, "early_stopping": True, "tol": 10.0}
    model = MLPRegressor(**settings, n_iter_no_change=2, checkpoint_path=tmp_path).fit(X, NUMBERS)
    assert model.n_iter_ < 100
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    with warnings.catch_warnings(action="error"):
        again = clone(model).resume(X, NUMBERS)
    assert state_of(again) == state_of(model)
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == before
    patient = clone(model).set_params(n_iter_no_change=5).resume(X, NUMBERS)
    whole = MLPRegressor(**settings, n_iter_no_change=5).fit(X, NUMBERS)
    assert state_of(patient) == state_of(whole)
    assert patient.n_iter_ == model.n_iter_ + 3


def test_resume_warns_of_the_epochs_in_all(tmp_path):
    model = MLPRegressor(**SMALL, checkpoint_path=tmp_path).fit(X, NUMBERS)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(14\) reached"):
        model.resume(X, NUMBERS, max_iter=5)


@pytest.mark.parametrize("form", [pd.DataFrame, scipy.sparse.csr_array])
def test_tables_of_all_kinds_go_on(tmp_path, form):
    table = form(X)
    if form is pd.DataFrame:
        table.columns = list("abcd")
    again = assert_resumes(lambda: MLPRegressor(**SMALL), {"args": (table, NUMBERS)}, tmp_path)
    assert again.predict(table).shape == (60,)


def test_a_warm_start_goes_on(tmp_path):
    """In a new process neither the weights it started from nor the earlier epochs are there."""

    def make():
        settings = {"early_stopping": True, "dropout": 0.1, "n_iter_no_change": 50}
        model = MLPClassifier(**SMALL, **settings, warm_start=True)
        return model.fit(X.astype(np.float32), LABELS)

    whole = make().fit(X, LABELS)
    model = make().set_params(checkpoint_path=tmp_path, callbacks=[die_after(4)])
    with pytest.raises(KilledError):
        model.fit(X, LABELS)
    again = clone(model).set_params(callbacks=None).resume(X, LABELS)
    assert state_of(again) == state_of(whole)
    assert again.coefs_[0].dtype == np.float32
    assert len(again.loss_curve_) > again.n_iter_


def test_a_fitted_model_of_other_labels_can_resume(tmp_path):
    model = MLPClassifier(**SMALL, checkpoint_path=tmp_path).fit(X, LABELS)
    other = clone(model).set_params(checkpoint_path=None).fit(X[:, :2], X[:, 0] > 0)
    other.set_params(checkpoint_path=tmp_path, warm_start=True).resume(X, LABELS)
    assert state_of(other) == state_of(model)


OTHERS = {
    "model was MLPRegressor and is MLPClassifier": {"model": MLPClassifier, "y": LABELS},
    r"hidden_layer_sizes was \[6\] and is \[7\]": {"hidden_layer_sizes": (7,)},
    "alpha was 0.0001 and is 0.1": {"alpha": 0.1},
    "random_state was 3 and is 4": {"random_state": 4},
    "solver was 'adam' and is 'sgd'": {"solver": "sgd"},
    "dropout was 0.0 and is 0.5": {"dropout": 0.5},
    "loss was 'squared_error' and is 'huber'": {"loss": "huber"},
    "dtype was None and is 'float32'": {"dtype": "float32"},
    "early_stopping was False and is True": {"early_stopping": True},
    r"X was float64 \(60, 4\) .* and is float64 \(60, 3\)": {"X": X[:, :3]},
    "X was float64 .* and is float32": {"X": X.astype(np.float32)},
    "y was float64 .* and is float64": {"y": NUMBERS[::-1]},
    "sample_weight was None and is float64": {"sample_weight": WEIGHTS},
    "X_val was None and is float64": {"X_val": X, "y_val": NUMBERS},
}


@pytest.mark.parametrize("message", OTHERS)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, message):
    MLPRegressor(**SMALL, checkpoint_path=tmp_path).fit(X, NUMBERS)
    change = dict(OTHERS[message])
    given = {"X": X, "y": NUMBERS}
    names = ("X", "y", "sample_weight", "X_val", "y_val")
    given |= {name: change.pop(name) for name in names if name in change}
    model = change.pop("model", MLPRegressor)(**{**SMALL, **change}, checkpoint_path=tmp_path)
    with pytest.raises(ValueError, match=message) as raised:
        model.resume(**given)
    assert "is a checkpoint of another training" in str(raised.value)
    assert not hasattr(model, "coefs_")


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    layers = [Linear(6), Activation("relu"), Linear(1)]
    Network(layers, "half_squared_error").fit(X, NUMBERS, checkpoint_path=tmp_path / "network")
    model = MLPRegressor(**SMALL, checkpoint_path=tmp_path / "network")
    with pytest.raises(ValueError, match="another training: model was Network and is MLPRegressor"):
        model.resume(X, NUMBERS)
    model.set_params(checkpoint_path=tmp_path / "mlp").fit(X, NUMBERS)
    with pytest.raises(ValueError, match="another training: model was MLPRegressor and is Network"):
        Network(layers, "half_squared_error").resume(X, NUMBERS, checkpoint_path=tmp_path / "mlp")


def test_a_refusal_leaves_a_fitted_model_as_it_was(tmp_path):
    model = MLPClassifier(**SMALL, checkpoint_path=tmp_path).fit(X, LABELS)
    before = state_of(model)
    with pytest.raises(ValueError, match="another training"):
        model.resume(X[::-1], LABELS)
    assert state_of(model) == before
    model.predict(X)


def test_what_may_differ_does(tmp_path):
    whole = MLPRegressor(**SMALL).fit(X, NUMBERS)
    MLPRegressor(**{**SMALL, "max_iter": 4}, checkpoint_path=tmp_path).fit(X, NUMBERS)
    free = {"n_threads": 1, "verbose": False, "callbacks": [lambda report: None]}
    free |= {"checkpoint_every": 5, "warm_start": True, "tol": 1e-5}
    model = MLPRegressor(**{**SMALL, **free}, checkpoint_path=str(tmp_path)).resume(X, NUMBERS)
    assert state_of(model) == state_of(whole)


def test_a_schedule_keeps_its_length(tmp_path):
    model = MLPRegressor(**SMALL, schedule="cosine", checkpoint_path=tmp_path).fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"schedule was made for the max_iter=9 .* at most 0"):
        model.resume(X, NUMBERS, max_iter=2)
    with pytest.raises(ValueError, match="max_iter was 9 and is 12"):
        model.set_params(max_iter=12).resume(X, NUMBERS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "lbfgs"}, "resume goes on from the end of an epoch, which solver='lbfgs'"),
        ({"checkpoint_path": None}, "checkpoint_path is None; set it"),
        ({"checkpoint_path": 3}, "'checkpoint_path' parameter of MLPRegressor must be"),
        ({"checkpoint_every": 0}, "'checkpoint_every' parameter of MLPRegressor must be"),
    ],
)
def test_wrong_parameters_are_named(tmp_path, settings, message):
    model = MLPRegressor(**{**SMALL, "checkpoint_path": tmp_path, **settings})
    with pytest.raises(ValueError, match=message):
        model.resume(X, NUMBERS)


@pytest.mark.parametrize("max_iter", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_epochs_is_named(tmp_path, max_iter):
    with pytest.raises(ValueError, match=f"max_iter counts .* got {max_iter!r}"):
        MLPRegressor(**SMALL, checkpoint_path=tmp_path).resume(X, NUMBERS, max_iter=max_iter)


def test_what_keeps_no_checkpoints_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"checkpoint_path=.* which solver='lbfgs' does not take"):
        MLPRegressor(solver="lbfgs", checkpoint_path=tmp_path).fit(X, NUMBERS)
    generator = np.random.RandomState(np.random.PCG64(0))
    model = MLPRegressor(**{**SMALL, "random_state": generator}, checkpoint_path=tmp_path)
    with pytest.raises(TypeError, match=r"random_state such as 0 .* got one of PCG64"):
        model.fit(X, NUMBERS)
    with pytest.raises(ModelFileError, match="holds no checkpoint to go on from"):
        MLPRegressor(**SMALL, checkpoint_path=tmp_path).resume(X, NUMBERS)
    (tmp_path / "file").write_text("")
    model = MLPRegressor(**SMALL, checkpoint_path=tmp_path / "file")
    with pytest.raises(ModelFileError, match="must name a folder, but is a file"):
        model.fit(X, NUMBERS)
    assert not hasattr(model, "coefs_")


def test_partial_fit_keeps_no_checkpoints(tmp_path):
    model = MLPRegressor(**SMALL, checkpoint_path=tmp_path)
    assert not list(tmp_path.iterdir())
    plain = MLPRegressor(**SMALL)
    for each in (model, plain):
        each.partial_fit(X, NUMBERS).partial_fit(X, NUMBERS)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])


def test_after_resume_partial_fit_and_warm_start_go_on_as_after_fit(tmp_path):
    whole = MLPRegressor(**SMALL).fit(X, NUMBERS)
    settings = {**SMALL, "max_iter": 4, "checkpoint_path": tmp_path}
    model = MLPRegressor(**settings).fit(X, NUMBERS).resume(X, NUMBERS, max_iter=5)
    assert state_of(model.partial_fit(X, NUMBERS)) == state_of(whole.partial_fit(X, NUMBERS))
    for each in (whole, model):
        each.set_params(warm_start=True, max_iter=2, checkpoint_path=None).fit(X, NUMBERS)
    assert state_of(model) == state_of(whole)


def test_checkpoints_change_nothing_and_the_model_is_saved_and_copied(tmp_path):
    model = MLPRegressor(**SMALL, checkpoint_path=tmp_path / "run").fit(X, NUMBERS)
    assert state_of(model) == state_of(MLPRegressor(**SMALL).fit(X, NUMBERS))
    assert pickle.loads(pickle.dumps(model)).checkpoint_path == tmp_path / "run"
    model.save(tmp_path / "model.pellucid")
    loaded = load(tmp_path / "model.pellucid")
    assert Path(loaded.checkpoint_path) == tmp_path / "run"
    assert state_of(loaded.resume(X, NUMBERS)) == state_of(model)


def test_ctrl_c_leaves_the_last_checkpoint_and_a_model_that_predicts(tmp_path):
    def interrupt(report):
        if report.epoch == 5:
            raise KeyboardInterrupt

    whole = MLPRegressor(**SMALL).fit(X, NUMBERS)
    model = MLPRegressor(**SMALL, checkpoint_path=tmp_path, callbacks=[interrupt])
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, NUMBERS)
    assert model.predict(X).shape == (60,)
    assert state_of(model.set_params(callbacks=None).resume(X, NUMBERS)) == state_of(whole)


def test_scikit_learns_callbacks_follow(tmp_path):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")
    monitor = callback.ScoringMonitor(scoring="r2")
    model = MLPRegressor(**SMALL, checkpoint_path=tmp_path).fit(X, NUMBERS)
    model.set_callbacks(monitor)
    model.resume(X, NUMBERS, max_iter=20)  # more than the constructor's
    assert model.n_iter_ == 29
    epochs = [row["task_name"] for row in monitor.get_logs().data if "epoch" in row["task_name"]]
    assert epochs == [f"epoch {k}" for k in range(10, 30)]
    model.resume(X, NUMBERS)  # there is nothing left to do
    assert model.n_iter_ == 29


def test_a_callback_that_ends_training_leaves_a_checkpoint(tmp_path):
    model = MLPRegressor(**SMALL, checkpoint_path=tmp_path, checkpoint_every=4)
    model.set_params(callbacks=[lambda report: report.epoch == 5]).fit(X, NUMBERS)
    assert model.n_iter_ == 5
    assert (tmp_path / "epoch-000005.pellucid").exists()
    again = model.set_params(callbacks=None).resume(X, NUMBERS)
    assert state_of(again) == state_of(MLPRegressor(**SMALL).fit(X, NUMBERS))


def longer_order(header, arrays):
    arrays["own.order"][0] = 10**9


def generator_beyond_its_end(header, arrays):
    header["checkpoint"]["own"]["now"]["pos"] = 10**6


def moments_of_other_parameters(header, arrays):
    arrays["optimizer.first"] = arrays["optimizer.first"][:-1]


def negative_step(header, arrays):
    header["checkpoint"]["run"]["step"] = -1


def no_state(header, arrays):
    del header["checkpoint"]["run"]


DAMAGES = [
    longer_order,
    generator_beyond_its_end,
    moments_of_other_parameters,
    negative_step,
    no_state,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_made_by_hand_is_refused(tmp_path, damage):
    """It must not lead the engine, or NumPy, out of an array."""
    model = MLPRegressor(**SMALL, checkpoint_path=tmp_path).fit(X, NUMBERS)
    for path in tmp_path.iterdir():
        header, arrays = read_model_file(path)
        damage(header, arrays)
        write_model_file(path, header, arrays)
    with pytest.raises(ModelFileError, match="do not make a checkpoint"):
        model.resume(X, NUMBERS, max_iter=1)
