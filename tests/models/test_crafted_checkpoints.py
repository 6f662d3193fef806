"""Checkpoints made by hand: `resume` refuses them, and leaves the model as it was."""

import pickle

import numpy as np
import pytest
from estimator_kinds import FAMILIES, KINDS
from fuzzing.mutations import Source, change_arrays, change_header, signed

from pellucid import NonFiniteError
from pellucid.persistence import ModelFileError, read_model_file

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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


def test_columns_of_an_unknown_kind_are_refused(tmp_path):
    kind = KINDS["TabularClassifier"]
    model = kind.make(warm_start=True).fit(kind.X, kind.y)
    model.set_params(checkpoint_path=tmp_path, checkpoint_every=99).fit(kind.X, kind.y)
    for path in tmp_path.iterdir():
        header, arrays = read_model_file(path)
        header["checkpoint"]["own"]["before"]["encoder"]["columns"][0]["kind"] = "exec"
        path.write_bytes(signed(header, arrays))
    assert isinstance(try_to_resume(kind, model, tmp_path / "any"), ModelFileError)
