"""Checkpoints of a `Network`: a training that goes on is, to the bit, one that never stopped."""

import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

from pellucid import Network, fit_together, load
from pellucid.models.network_fit import NetworkFit
from pellucid.nn import (
    SGD,
    Activation,
    AdamW,
    BatchNorm,
    ClipByGlobalNorm,
    Columns,
    CustomLoss,
    Dropout,
    Embedding,
    Linear,
    RMSProp,
)
from pellucid.persistence import ModelFileError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5))
LABELS = np.array(["no", "yes", "maybe"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
NUMBERS = X @ RNG.normal(size=5)
LAYERS = [Linear(8), BatchNorm(), Activation("relu"), Dropout(0.2), Linear(3)]
CASES = {
    "adam": {},
    "sgd with momentum": {"optimizer": SGD(0.01, 0.9)},
    "rmsprop": {"optimizer": RMSProp(1e-3)},
    "schedules": {
        "optimizer": AdamW(1e-2),
        "schedule": "one_cycle",
        "weight_decay_schedule": "cosine",
        "dropout_schedule": "cosine",
        "epochs": 8,
    },
    "no shuffling, clipping, penalty": {
        "shuffle": False,
        "clipping": ClipByGlobalNorm(0.1),
        "l2_penalty": 0.1,
        "learning_rate_factors": {"bias": 0.5},
    },
    "weights": {"sample_weight": RNG.random(60), "class_weight": "balanced", "seed": 5},
    "held-out rows": {"rows_val": np.arange(10), "patience": 3, "optimizer": SGD(0.3)},
    "validation set": {"X_val": X[:20], "y_val": LABELS[:20], "rows": np.arange(20, 60)},
}


def assert_same(network, other):
    np.testing.assert_array_equal(network.parameters.flat, other.parameters.flat)
    assert network.parameters.flat.dtype == other.parameters.flat.dtype
    assert {**network.history, "seconds": None} == {**other.history, "seconds": None}
    assert len(network.history["seconds"]) == len(other.history["seconds"])
    np.testing.assert_array_equal(network.classes_, other.classes_)


class KilledError(Exception):
    """Stands for what ends a process."""


@contextmanager
def raising(error, epoch):
    """Raise an error after an epoch, before its checkpoint is written."""
    original = NetworkFit._remember

    def remember(self, report):
        original(self, report)
        if report.epoch == epoch:
            raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetworkFit, "_remember", remember)
        yield


def fit_until(epoch, network, X, y, **options):
    """Begin a fit that ends without warning after so many epochs."""
    with raising(KilledError, epoch + 1), pytest.raises(KilledError):
        network.fit(X, y, **options)


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_a_killed_fit_goes_on_to_the_bit(tmp_path, case, dtype, engine):
    options = {"epochs": 8, "batch_size": 16, **CASES[case]}

    def make():
        return Network(LAYERS, "softmax_cross_entropy", dtype=dtype, engine=engine)

    whole = make().fit(X, LABELS, **options)
    keeping = {**options, "checkpoint_path": tmp_path / "run"}
    fit_until(3, make(), X, LABELS, **keeping)
    del keeping["epochs"]
    assert_same(make().resume(X, LABELS, **keeping), whole)
    assert_same(make().resume(X, LABELS, **keeping), whole)  # of one that has ended


@pytest.mark.parametrize("every", [1, 3, 7])
def test_ten_epochs_and_ten_more_are_twenty(tmp_path, every):
    layers, options = [Linear(3)], {"rows_val": np.arange(10), "optimizer": SGD(0.1)}
    whole = Network(layers, "softmax_cross_entropy").fit(X, LABELS, epochs=20, **options)
    options |= {"checkpoint_path": tmp_path, "checkpoint_every": every}
    network = Network(layers, "softmax_cross_entropy").fit(X, LABELS, epochs=10, **options)
    assert_same(network.resume(X, LABELS, epochs=10, **options), whole)


def test_a_fit_that_went_on_from_another_goes_on(tmp_path):
    """Neither the parameters it started from nor the labels and the history are there again."""
    some = LABELS != "maybe"
    options = {"epochs": 6, "warm_start": True, "seed": 1}

    def make():
        return Network([Linear(3)], "softmax_cross_entropy").fit(X, LABELS, epochs=2)

    whole = make().fit(X[some], LABELS[some], **options)
    keeping = {**options, "checkpoint_path": str(tmp_path)}
    fit_until(2, make(), X[some], LABELS[some], **keeping)
    del keeping["epochs"]
    again = Network([Linear(3)], "softmax_cross_entropy").resume(X[some], LABELS[some], **keeping)
    assert_same(again, whole)
    assert len(again.history["loss"]) == 8


def test_own_losses_and_sparse_rows_go_on(tmp_path):
    def halved_square(scores, targets, weights):
        residual = scores - targets
        return 0.5 * np.mean(residual**2), residual / residual.size

    table = scipy.sparse.csr_array(np.where(X > 0.5, X, 0.0))
    options = {"epochs": 5, "n_threads": 1}

    def make():
        return Network([Linear(4), Activation("tanh"), Linear(1)], CustomLoss(halved_square))

    whole = make().fit(table, NUMBERS, **options)
    keeping = {**options, "checkpoint_path": tmp_path}
    fit_until(2, make(), table, NUMBERS, **keeping)
    resumed = make().resume(table, NUMBERS, checkpoint_path=tmp_path, n_threads=2)
    np.testing.assert_array_equal(resumed.parameters.flat, whole.parameters.flat)


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("optimizer", [SGD(0.01, 0.9), AdamW(1e-2), RMSProp(1e-3)])
def test_embeddings_whose_rows_take_lazy_steps_go_on(tmp_path, optimizer, engine):
    table = np.column_stack([RNG.integers(0, 40, 60), X[:, 1:]])
    layers = [Columns([(1, Embedding(40, 3)), (4, Activation("identity"))]), Linear(1)]
    options = {"optimizer": optimizer, "batch_size": 8}

    def make():
        return Network(layers, "half_squared_error", engine=engine)

    whole = make().fit(table, NUMBERS, epochs=6, **options)
    options["checkpoint_path"] = tmp_path
    again = (
        make().fit(table, NUMBERS, epochs=3, **options).resume(table, NUMBERS, epochs=3, **options)
    )
    np.testing.assert_array_equal(again.parameters.flat, whole.parameters.flat)


def test_training_that_has_converged_is_only_read(tmp_path):
    options = {"rows_val": np.arange(30), "patience": 2, "optimizer": SGD(2.0)}
    options["checkpoint_path"] = tmp_path
    network = Network([Linear(3)], "softmax_cross_entropy").fit(X, LABELS, epochs=50, **options)
    n = len(network.history["loss"])
    assert n < 50
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    assert_same(Network([Linear(3)], "softmax_cross_entropy").resume(X, LABELS, **options), network)
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == before
    options["patience"] = 30
    longer = Network([Linear(3)], "softmax_cross_entropy").resume(X, LABELS, **options)
    whole = Network([Linear(3)], "softmax_cross_entropy")
    assert_same(longer, whole.fit(X, LABELS, epochs=50, **options))
    assert len(longer.history["loss"]) > n


def test_a_recording_begins_where_training_went_on(tmp_path):
    options = {"checkpoint_path": tmp_path, "batch_size": 20}
    network = Network([Linear(3)], "softmax_cross_entropy").fit(X, LABELS, epochs=2, **options)
    network.resume(X, LABELS, epochs=2, record=1, **options)
    replayed = network.replay(12)
    np.testing.assert_array_equal(replayed.after.flat, network.parameters.flat)
    assert network.replay(7).epoch == 2
    with pytest.raises(ValueError, match="step must be 7 to 12"):
        network.replay(6)


def test_networks_fitted_together_keep_checkpoints(tmp_path):
    networks = [Network([Linear(3)], "softmax_cross_entropy") for _ in range(2)]
    options = [{"seed": k, "checkpoint_path": tmp_path / str(k)} for k in range(2)]
    fit_together(networks, X, LABELS, options, epochs=3)
    for network, own in zip(networks, options, strict=True):
        again = Network([Linear(3)], "softmax_cross_entropy").resume(X, LABELS, **own)
        assert_same(again, network)


def test_networks_fitted_together_need_a_folder_each(tmp_path):
    networks = [Network([Linear(3)], "softmax_cross_entropy") for _ in range(2)]
    with pytest.raises(ValueError, match="checkpoint_path must be another folder for each"):
        fit_together(networks, X, LABELS, checkpoint_path=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_training_that_diverges_does_so_again(tmp_path):
    options = {"rows_val": np.arange(10), "optimizer": SGD(1e5), "epochs": 30}

    def make():
        return Network([Linear(9), Activation("relu"), Linear(1)], "half_squared_error")

    with pytest.warns(ConvergenceWarning, match="diverged"):
        whole = make().fit(X, NUMBERS, **options)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        make().fit(X, NUMBERS, checkpoint_path=tmp_path, **options)
    options["checkpoint_path"] = tmp_path
    with pytest.warns(ConvergenceWarning, match="diverged"):
        again = make().resume(X, NUMBERS, **options)
    np.testing.assert_array_equal(again.parameters.flat, whole.parameters.flat)


def small_fit(path, **options):
    network = Network([Linear(3)], "softmax_cross_entropy")
    return network.fit(X, LABELS, **{"epochs": 4, "checkpoint_path": path, **options})


OTHERS = {
    "layer 0 was Linear": {"layers": [Linear(3, weights="zeros")]},
    "layers was 1 and is 2": {"layers": [Activation("relu"), Linear(3)]},
    "loss was": {"loss": "half_squared_error", "y": X[:, :3]},
    "dtype was 'float32' and is 'float64'": {"dtype": "float64"},
    "engine was 'native' and is 'reference'": {"engine": "reference"},
    r"optimizer was Adam\(.*\) and is SGD\(": {"optimizer": SGD(0.1)},
    "batch_size was 128 and is 64": {"batch_size": 64},
    "seed was 0 and is 1": {"seed": 1},
    "shuffle was True and is False": {"shuffle": False},
    "class_weight was None and is 'balanced'": {"class_weight": "balanced"},
    "schedule was None and is OneCycle": {"schedule": "one_cycle"},
    r"X was float64 \(60, 5\) .* and is float64 \(60, 5\)": {"X": X[::-1]},
    r"X was float64 \(60, 5\) .* and is float64 \(60, 4\)": {"X": X[:, :4]},
    "y was": {"y": LABELS[::-1]},
    "sample_weight was None and is": {"sample_weight": np.ones(60)},
    "rows_val was None and is": {"rows_val": np.arange(5)},
}


@pytest.mark.parametrize("message", OTHERS)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, message):
    small_fit(tmp_path)
    options = {"layers": [Linear(3)], "loss": "softmax_cross_entropy", "X": X, "y": LABELS}
    options |= {"dtype": "float32", "engine": "native", **OTHERS[message]}
    names = ("layers", "loss", "dtype", "engine")
    layers, loss, dtype, engine = [options.pop(name) for name in names]
    network = Network(layers, loss, dtype=dtype, engine=engine)
    with pytest.raises(ValueError, match=message) as raised:
        network.resume(checkpoint_path=tmp_path, **options)
    assert "checkpoint of another training" in str(raised.value)
    assert "call fit, or name another checkpoint_path" in str(raised.value)
    assert network._parameters is None


def test_a_schedule_keeps_its_length(tmp_path):
    small_fit(tmp_path, schedule="cosine", epochs=3)
    network = Network([Linear(3)], "softmax_cross_entropy")
    with pytest.raises(ValueError, match=r"epochs=2 more after 3 would be 5.* pass at most 0"):
        network.resume(X, LABELS, schedule="cosine", epochs=2, checkpoint_path=tmp_path)


def test_what_is_no_checkpoint_is_named(tmp_path):
    network = Network([Linear(3)], "softmax_cross_entropy")
    with pytest.raises(ModelFileError, match="holds no checkpoint to go on from"):
        network.resume(X, LABELS, checkpoint_path=tmp_path / "none")
    (tmp_path / "epoch-000003.pellucid").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="holds no checkpoint that is whole"):
        network.resume(X, LABELS, checkpoint_path=tmp_path)
    network.fit(X, LABELS, epochs=1).save(tmp_path / "epoch-000003.pellucid")
    with pytest.raises(ModelFileError, match="do not make a checkpoint"):
        network.resume(X, LABELS, checkpoint_path=tmp_path)
    small_fit(tmp_path / "run")
    with pytest.raises(ModelFileError, match="is a checkpoint of a training, no model"):
        load(tmp_path / "run" / "epoch-000004.pellucid")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"path": 3}, TypeError, "checkpoint_path must be the path of a folder, got 3"),
        ({"path": ""}, TypeError, "checkpoint_path must be the path of a folder"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every .* positive integer, got 0"),
        ({"checkpoint_every": 1.5}, ValueError, "checkpoint_every .* positive integer, got 1.5"),
    ],
)
def test_wrong_parameters_are_named(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        small_fit(**{"path": tmp_path, **options})
    with pytest.raises(TypeError, match="'epoch' is no parameter"):
        Network([Linear(3)], "softmax_cross_entropy").resume(
            X, LABELS, checkpoint_path=tmp_path, epoch=3
        )


def test_a_folder_that_cannot_be_written_is_named_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="must name a folder, but is a file"):
        small_fit(tmp_path / "file")
    with pytest.raises(ModelFileError, match="must name a folder that can be written to"):
        small_fit(tmp_path / "file" / "inside")


def test_a_checkpoint_that_cannot_be_written_does_not_cost_the_training(tmp_path, monkeypatch):
    """The disk is full in epochs 2 and 3, and has room again in epoch 4."""
    from pellucid.persistence import checkpoint_folder

    original = checkpoint_folder.write_model_file

    def write(path, header, arrays):
        if path.name in ("epoch-000002.pellucid", "epoch-000003.pellucid"):
            raise ModelFileError(f"{path} could not be written: No space left on device.")
        original(path, header, arrays)

    monkeypatch.setattr(checkpoint_folder, "write_model_file", write)
    with pytest.warns(UserWarning, match="epoch 2 is missing.*No space left") as caught:
        network = small_fit(tmp_path)
    assert len(caught) == 1
    assert_same(network, small_fit(None))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"epoch-00000{k}.pellucid" for k in (0, 1, 4)]


def test_a_damaged_checkpoint_is_left_out_with_a_warning(tmp_path):
    small_fit(tmp_path, epochs=6)
    newest = tmp_path / "epoch-000006.pellucid"
    newest.write_bytes(newest.read_bytes()[:-5])
    network = Network([Linear(3)], "softmax_cross_entropy")
    with pytest.warns(UserWarning, match="000006.* is .*Going on from epoch-000005.pellucid"):
        network.resume(X, LABELS, checkpoint_path=tmp_path)
    assert_same(network, small_fit(None, epochs=6))
    assert_same(network.resume(X, LABELS, checkpoint_path=tmp_path), network)


def test_a_new_fit_replaces_the_checkpoints_of_an_earlier_one(tmp_path):
    small_fit(tmp_path, epochs=9)
    (tmp_path / ".epoch-000003.pellucid.0123456789abcdef.part").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    small_fit(tmp_path, epochs=2, seed=1)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"epoch-00000{k}.pellucid" for k in range(3)] + ["notes.txt"]


def test_ctrl_c_leaves_the_last_checkpoint_and_a_network_that_predicts(tmp_path):
    whole = small_fit(None)
    with raising(KeyboardInterrupt, 3), pytest.warns(UserWarning, match="interrupted"):
        network = small_fit(tmp_path)
    assert network.predict(X).shape == (60,)
    assert_same(network.resume(X, LABELS, checkpoint_path=tmp_path), whole)


KILLING = """
import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np

from pellucid import MLPRegressor, Network
from pellucid.nn import Activation, Dropout, Linear

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(300, 20))
y = (X[:, :3] ** 2).sum(axis=1)


def train_network(folder, goes_on):
    layers = [Linear(200), Activation("relu"), Dropout(0.1), Linear(200), Linear(1)]
    network = Network(layers, "half_squared_error")
    options = dict(rows_val=np.arange(50), batch_size=10, n_threads=1, checkpoint_path=folder)
    network.resume(X, y, **options) if goes_on else network.fit(X, y, epochs=12, **options)
    return network.parameters.flat


def train_perceptron(folder, goes_on):
    model = MLPRegressor(
        hidden_layer_sizes=(200, 200), dropout=0.1, early_stopping=True, tol=0.0, batch_size=10,
        n_threads=1, random_state=0, max_iter=12, n_iter_no_change=20, checkpoint_path=folder,
    )
    return (model.resume(X, y) if goes_on else model.fit(X, y)).parameters_.flat


def train(folder):
    results = []
    for each in (train_network, train_perceptron):
        own = folder / each.__name__
        results.append(each(own, any(own.glob("epoch-*"))))
    np.savez(folder / "unfinished.npz", *results)
    os.replace(folder / "unfinished.npz", folder / "results.npz")
    os._exit(0)


def newest(folder):
    epochs = [-1]
    for own in folder.glob("train_*"):
        epochs.append(max((int(path.name[6:12]) for path in own.glob("epoch-*")), default=-1))
    return sum(epochs)


def start(folder):
    process = os.fork()
    if process == 0:
        train(folder)
    return process


whole, killed = Path("whole"), Path("killed")
began = time.monotonic()
assert os.waitpid(start(whole), 0)[1] == 0
longest = (time.monotonic() - began) / 5
rng = np.random.default_rng(0)
reached = newest(killed)
while not (killed / "results.npz").exists():
    process = start(killed)
    time.sleep(rng.uniform(0.0, longest))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    print(newest(killed), flush=True)
    if newest(killed) <= reached:
        longest *= 1.2
    reached = newest(killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_process_killed_at_random_moments_ends_with_the_same_models(tmp_path):
    """Every attempt is a process of its own; they share one import of the library, to be quick."""
    command = [sys.executable, "-c", KILLING]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    reached = [int(line) for line in done.stdout.split()]
    assert reached == sorted(reached), "nothing that was reached is lost"
    assert len(set(reached)) > 3, "kills came while it trained"
    assert not list((tmp_path / "killed").rglob(".*")), "nothing half written is left"
    whole, killed = (np.load(tmp_path / folder / "results.npz") for folder in ("whole", "killed"))
    for name in ("arr_0", "arr_1"):
        np.testing.assert_array_equal(whole[name], killed[name])
