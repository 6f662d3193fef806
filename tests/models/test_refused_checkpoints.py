"""What is no checkpoint of this training is refused, and a folder that fails costs no training."""

import os
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import scipy.sparse
from estimator_kinds import FAMILIES, KINDS, NUMBERS, WEIGHTS, X, learned_by, network_layers
from sklearn.base import clone

from pellucid import MLPRegressor, load
from pellucid.nn import SGD, CustomLoss
from pellucid.persistence import ModelFileError

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
each_family = pytest.mark.parametrize("kind", FAMILIES.values(), ids=FAMILIES)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def squared(scores, targets, weights):
    residual = scores - targets
    return 0.5 * np.mean(residual**2), residual / residual.size


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
    whole = kind.make(**kind.patient).fit(kind.X, kind.y)
    kind.make(max_iter=4, checkpoint_path=tmp_path).fit(kind.X, kind.y)
    free = {"n_threads": 1, "verbose": False, "callbacks": [lambda report: None]}
    free |= {"checkpoint_every": 5, "warm_start": True, **kind.patient}
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
