"""Checkpoints of every kind: a training that goes on is, to the bit, one that never stopped."""

import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from estimator_kinds import (
    CODES,
    FAMILIES,
    KINDS,
    LABELS,
    NUMBERS,
    WEIGHTS,
    N,
    X,
    learned_by,
    network_layers,
)
from option_values import log_cosh
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from pellucid import MLPRegressor, Network, fit_together, load
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
from pellucid.training import Outcome

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
each_family = pytest.mark.parametrize("kind", FAMILIES.values(), ids=FAMILIES)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    settings = {**settings, **kind.patient}
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
        # An accuracy, since a warning tells of a log loss that stays above its baseline.
        settings |= {"learning_rate_init": 1e-9, "scoring": "accuracy"}
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
        model = kind.make(warm_start=True, **kind.patient).fit(kind.X, kind.y)
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
        return kind.make(warm_start=True, **kind.patient).fit(first, kind.y)

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
