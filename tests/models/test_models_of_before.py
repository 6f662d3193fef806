"""Files that an earlier version wrote, listed in models_of_before/README.md, still load."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimator_kinds import learned_by, predictions_of
from fuzzing.mutations import signed

from pellucid import load
from pellucid.engine.instruction_set import INSTRUCTION_SET
from pellucid.persistence import ModelFileError, read_model_file

FOLDER = Path(__file__).parent / "models_of_before"
DOCUMENT = json.loads((FOLDER / "expected.json").read_text())
MODELS = DOCUMENT["models"]
IS_SAME_MACHINE = DOCUMENT["instruction set"] == INSTRUCTION_SET
each_file = pytest.mark.parametrize("name", MODELS)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def table_of(name):
    given = MODELS[name]["table"]
    if isinstance(given, dict):
        return pd.DataFrame(given)
    return np.array(given, MODELS[name]["dtype"])


def said_by(model, method, table):
    if method != "std":
        return getattr(model, method)(table)
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    return getattr(model, method)(table, return_std=True)[1]


def test_every_file_is_listed():
    assert {path.name for path in FOLDER.glob("*.pellucid")} == set(MODELS)
    assert len(MODELS) >= 16


@each_file
def test_it_predicts_what_it_did(name):
    model, about = load(FOLDER / name), MODELS[name]
    assert type(model).__name__ == about["estimator"]
    for method, wanted in about["expected"].items():
        said = said_by(model, method, table_of(name))
        expected = np.array(wanted["values"], wanted["dtype"])
        assert said.dtype == expected.dtype
        if IS_SAME_MACHINE or expected.dtype.kind != "f":
            np.testing.assert_array_equal(said, expected)
        else:
            np.testing.assert_allclose(said, expected, rtol=1e-4, atol=1e-6)


@each_file
def test_it_knows_what_it_did(name):
    model = load(FOLDER / name)
    for attribute, wanted in MODELS[name]["learned"].items():
        assert np.asarray(getattr(model, attribute)).tolist() == wanted
    for member in getattr(model, "estimators_", [model]):
        assert member.n_iter_ > 0
        assert member.outcome_ is None  # Files of before do not tell.
        assert np.isfinite(member.loss_)
        assert member.parameters_.flat.size > 0
        assert member.chain_.layers


@each_file
def test_it_is_described(name):
    model = load(FOLDER / name)
    text = str(model.describe())
    assert type(model).__name__ in text
    for word in ("predicts", "from", "training", "parameters"):
        assert f"\n{word} " in text


@each_file
def test_it_is_saved_and_loaded_again(tmp_path, name):
    model, table = load(FOLDER / name), table_of(name)
    model.save(tmp_path / name)
    again = load(tmp_path / name)
    assert predictions_of(again, table) == predictions_of(model, table)
    assert repr(again.get_params()) == repr(model.get_params())
    pairs = zip(*(getattr(each, "estimators_", [each]) for each in (model, again)), strict=True)
    for one, other in pairs:
        assert learned_by(other) == learned_by(one)
    again.save(tmp_path / "twice.pellucid")
    assert (tmp_path / "twice.pellucid").read_bytes() == (tmp_path / name).read_bytes()


@each_file
def test_it_is_trained_on(name):
    """It goes on from its weights, or starts over, as any fitted estimator does."""
    model, table = load(FOLDER / name), table_of(name)
    y = model.predict(table)
    y = y if y.ndim > 1 or len(np.unique(y)) > 1 else np.resize(model.classes_, len(y))
    n_before = len(getattr(model, "loss_curve_", ()))
    if hasattr(model, "early_stopping"):
        model.set_params(early_stopping=False, scoring=None)
    classes = getattr(model, "classes_", None)
    goes_on = classes is None or y.ndim > 1 or set(classes) <= set(np.unique(y))
    model.set_params(warm_start=goes_on).fit(table, y)
    assert model.predict(table).shape == y.shape
    if goes_on and n_before and not hasattr(model, "estimators_"):
        assert len(model.loss_curve_) > n_before


def test_the_folder_of_checkpoints_is_not_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "mlp_classifier_checkpoint_path.pellucid"
    header, _ = read_model_file(FOLDER / name)
    assert header["params"]["checkpoint_path"] == "checkpoints of before"
    model = load(FOLDER / name)
    assert model.checkpoint_path is None
    model.fit(table_of(name), model.predict(table_of(name)))
    assert not list(tmp_path.iterdir())


def fields_of(state, path=()):
    """Yield the places of all fields that a state has, those of an inner one too."""
    for name, value in state.items():
        yield (*path, name)
        if name in ("mlp", "targets", "numbers", "curves", "encoder", "history"):
            yield from fields_of(value, (*path, name))


@each_file
def test_a_field_that_is_missing_or_wrong_is_told(tmp_path, name):
    """The file is refused, or there is a value to take in its place."""
    header, arrays = read_model_file(FOLDER / name)
    for place in list(fields_of(header["state"])):
        for value in ("missing", None, {"a": 1}):
            forged = json.loads(json.dumps(header))
            inner = forged["state"]
            for key in place[:-1]:
                inner = inner[key]
            if value == "missing":
                del inner[place[-1]]
            else:
                inner[place[-1]] = value
            (tmp_path / name).write_bytes(signed(forged, arrays))
            try:
                model = load(tmp_path / name)
            except ModelFileError:
                continue
            str(model.describe())
