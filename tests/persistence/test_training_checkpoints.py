"""The checkpoints of one training: what they hold, whose they are, and when one cannot be written.

That trainings of every kind of estimator go on from them is tested in models/test_checkpoints.py.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from pellucid.engine.instruction_set import INSTRUCTION_SET
from pellucid.engine.plan import TrainerState
from pellucid.nn.optimizers import OptimizerState
from pellucid.persistence import ModelFileError, read_model_file, write_model_file
from pellucid.persistence.training_checkpoints import checked_path, checkpoints_in, read_newest
from pellucid.training import History, StateError, TrainingState

FINGERPRINT = {"model": "Own", "X": "float64 (3, 2)", "alpha": "0.1"}
OWN = {"seed": 3}, {"start": np.arange(4.0)}


def state(n_epochs):
    flat = np.full(3, 1.0 + n_epochs)
    return TrainingState(
        trainer=TrainerState(OptimizerState(flat + 1.0, flat + 2.0), step=n_epochs, epoch=n_epochs),
        learning_rate=0.1,
        history=History(losses=[1.0 / (1 + k) for k in range(n_epochs)]),
        n_epochs=n_epochs,
        parameters=flat,
        order=({"pos": 7}, {"rows": np.arange(5)}),
    )


def written(folder, *epochs, fingerprint=FINGERPRINT, own=OWN, every=1):
    """Write the states of these epochs as a training does."""
    checkpoints = checkpoints_in(folder, every, lambda: dict(fingerprint), own)
    for epoch in epochs:
        checkpoints.save(state(epoch))
    return checkpoints


def changed(path, change):
    header, arrays = read_model_file(path)
    change(header, arrays)
    write_model_file(path, header, arrays)


def test_what_was_kept_comes_back(tmp_path):
    written(tmp_path / "a" / "b", 0, 1, 2)
    saved = read_newest(str(tmp_path / "a" / "b"), "Own")
    assert saved.path == tmp_path / "a" / "b" / "epoch-000002.pellucid"
    assert saved.fingerprint == FINGERPRINT
    assert saved.own == {"seed": 3}
    assert list(saved.arrays) == ["start"]
    np.testing.assert_array_equal(saved.arrays["start"], np.arange(4.0))
    np.testing.assert_array_equal(saved.state.parameters, np.full(3, 3.0))
    np.testing.assert_array_equal(saved.state.trainer.optimizer.second, np.full(3, 5.0))
    assert (saved.state.n_epochs, saved.state.history.losses) == (2, [1.0, 0.5])
    numbers, arrays = saved.state.order
    assert numbers == {"pos": 7}
    np.testing.assert_array_equal(arrays["rows"], np.arange(5))
    header, _ = read_model_file(saved.path)
    assert header["instruction_set"] == INSTRUCTION_SET


def test_a_model_may_add_nothing(tmp_path):
    written(tmp_path, 0, own=({}, {}))
    saved = read_newest(tmp_path, "Own")
    assert (saved.own, saved.arrays) == ({}, {})


def test_without_a_path_nothing_is_kept_or_described():
    def forbidden():
        raise AssertionError("describing all data takes time")

    assert checkpoints_in(None, 1, forbidden, ({}, {})) is None


def test_the_training_is_described_once_and_nothing_is_made_before_the_first_save(tmp_path):
    calls = []
    checkpoints = checkpoints_in(
        tmp_path / "run", np.int64(3), lambda: calls.append(1) or dict(FINGERPRINT), OWN
    )
    assert (checkpoints.every, type(checkpoints.every)) == (3, int)
    assert not (tmp_path / "run").exists()
    for epoch in range(3):
        checkpoints.save(state(epoch))
    assert calls == [1]


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2", None])
def test_wrong_numbers_of_epochs_are_named(tmp_path, every):
    for path in (None, tmp_path):
        with pytest.raises(ValueError, match=r"checkpoint_every counts epochs .* got"):
            checkpoints_in(path, every, dict, ({}, {}))


@pytest.mark.parametrize("path", [3, "", b"run", ["run"]])
def test_what_is_no_path_is_named(path):
    for call in (checked_path, lambda path: read_newest(path, "Own")):
        with pytest.raises(TypeError, match="checkpoint_path must be the path of a folder, got"):
            call(path)
    with pytest.raises(TypeError, match="checkpoint_path must be the path of a folder, got"):
        checkpoints_in(path, 1, dict, ({}, {}))


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", str(tmp_path / "file")):
        with pytest.raises(ModelFileError, match="must name a folder, but is a file"):
            checked_path(path)


@pytest.mark.parametrize("name", ["a" * 300, "/".join(["a" * 200] * 30), "a\0b", "\ud800"])
def test_names_that_no_folder_can_have_are_told_by_who_uses_them(tmp_path, name):
    path = checked_path(tmp_path / name)
    assert path == Path(tmp_path / name)
    with pytest.raises(ModelFileError, match=r"checkpoint_path=.* cannot be read"):
        read_newest(path, "Own")
    with pytest.raises(ModelFileError, match=r"checkpoint_path=.* must name a folder"):
        written(path, 0)


def test_a_new_training_removes_what_another_left(tmp_path):
    written(tmp_path, 5, 6, 7)
    (tmp_path / ".epoch-000009.pellucid.0123456789abcdef.part").write_bytes(b"half")
    written(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000000.pellucid"]


def full(*_):
    raise OSError(28, "No space left on device")


def test_the_first_one_must_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelFileError, match=r"000000.pellucid could not be written: No space"):
        written(tmp_path, 0)


def test_a_later_one_that_cannot_be_written_is_warned_of_once(tmp_path, monkeypatch):
    checkpoints = written(tmp_path, 0, 1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match=r"epoch 2 is missing: .*No space left.*goes on") as caught:
        checkpoints.save(state(2))
    assert len(caught) == 1
    with warnings.catch_warnings(action="error"):
        checkpoints.save(state(3))
    monkeypatch.undo()
    assert read_newest(tmp_path, "Own").state.n_epochs == 1
    checkpoints.save(state(4))
    assert read_newest(tmp_path, "Own").state.n_epochs == 4


def test_another_training_is_told_by_what_differs(tmp_path):
    written(tmp_path, 0)
    saved = read_newest(tmp_path, "Own")
    saved.check_is_of(dict(reversed(FINGERPRINT.items())))
    with pytest.raises(ValueError, match=r"another training: alpha was 0\.1 and is 0\.2\. To"):
        saved.check_is_of({**FINGERPRINT, "alpha": "0.2"})
    with pytest.raises(ValueError, match="y was not there and is int64"):
        saved.check_is_of({**FINGERPRINT, "y": "int64"})
    with pytest.raises(ValueError, match=r"alpha was 0\.1 and is not there") as raised:
        saved.check_is_of({"model": "Own", "X": FINGERPRINT["X"]})
    assert not isinstance(raised.value, ModelFileError)
    assert str(saved.path) in str(raised.value)


def test_one_of_another_class_is_told_before_anything_else(tmp_path):
    written(tmp_path, 0)
    with pytest.raises(ValueError, match="model was Own and is Other") as raised:
        read_newest(tmp_path, "Other")
    assert not isinstance(raised.value, ModelFileError)


def test_a_damaged_one_is_left_out_with_a_warning(tmp_path):
    written(tmp_path, 0, 1)
    newest = tmp_path / "epoch-000001.pellucid"
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="000001.*Going on from epoch-000000.pellucid"):
        assert read_newest(tmp_path, "Own").state.n_epochs == 0


def put(*path, value):
    def change(header, arrays):
        inner = header
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return change


UNUSABLE = {
    "no checkpoint": lambda header, arrays: header.pop("checkpoint"),
    "a checkpoint that is a list": put("checkpoint", value=[1]),
    "a checkpoint that is nothing": put("checkpoint", value=None),
    "a run that is a text": put("checkpoint", "run", value="run"),
    "a fingerprint that is a list": put("checkpoint", "of", value=["model"]),
    "an own that is a number": put("checkpoint", "own", value=3),
    "an own that is a list": put("checkpoint", "own", value=[1]),
    "epochs beyond the engine's": put("checkpoint", "run", "trainer_epoch", value=2**40),
    "a number beyond any": put("checkpoint", "run", "step", value=10**400),
    "a curve of two dimensions": lambda header, arrays: arrays.update(
        {"history.losses": np.zeros((1, 1))}
    ),
    "parameters of no dimension": lambda header, arrays: arrays.update(
        {"parameters": np.float64(1.0).reshape(())}
    ),
    "no parameters": lambda header, arrays: arrays.pop("parameters"),
    "no arrays": lambda header, arrays: arrays.clear(),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_contents_that_make_no_checkpoint_are_refused(tmp_path, what):
    written(tmp_path, 1)
    path = tmp_path / "epoch-000001.pellucid"
    changed(path, UNUSABLE[what])
    with pytest.raises(ModelFileError, match=r"000001.* do not make a checkpoint .* Remove it"):
        read_newest(tmp_path, "Own")


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), ValueError("x"), TypeError("x"), OverflowError("x"), AttributeError("x")]
    + [AssertionError("x"), IndexError("x"), RecursionError("x"), ZeroDivisionError("x")]
    + [StopIteration("x"), MemoryError("x")],
    ids=lambda error: type(error).__name__,
)
def test_what_unusable_contents_raise_names_the_file(tmp_path, error):
    written(tmp_path, 0)
    saved = read_newest(tmp_path, "Own")
    with (
        pytest.raises(ModelFileError, match=f"epoch-000000.*{type(error).__name__}"),
        saved.reading(),
    ):
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), OSError()])
def test_other_errors_are_what_they_are(tmp_path, error):
    written(tmp_path, 0)
    saved = read_newest(tmp_path, "Own")
    with pytest.raises(type(error)), saved.reading():
        raise error
    with pytest.raises(type(error)), saved.resuming():
        raise error


def test_a_state_that_does_not_fit_its_training_names_the_file(tmp_path):
    written(tmp_path, 0)
    saved = read_newest(tmp_path, "Own")
    with (
        pytest.raises(ModelFileError, match=r"epoch-000000.*\(StateError: 3 for 2\)"),
        saved.resuming(),
    ):
        raise StateError("3 for 2")
    original = ModelFileError("of a file")
    with pytest.raises(ModelFileError) as raised, saved.reading():
        raise original
    assert raised.value is original
    with pytest.raises(ValueError, match="of the engine") as raised, saved.resuming():
        raise ValueError("of the engine")
    assert not isinstance(raised.value, ModelFileError)
