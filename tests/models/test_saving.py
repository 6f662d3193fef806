"""Every kind of model in a file and in a pickle: what comes back is what went in."""

import copy
import json
import pickle
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pandas as pd
import pytest
from estimator_kinds import (
    ENSEMBLES,
    FAMILIES,
    KINDS,
    LABELS,
    NUMBERS,
    TABLE,
    X,
    learned_by,
    predictions_of,
)
from fuzzing.examples import EXAMPLES, data_of
from fuzzing.mutations import signed
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pellucid import (
    DeepEnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    Network,
    load,
    save,
)
from pellucid.nn import Activation, CustomActivation, Layer, Linear
from pellucid.persistence import ModelFileError, read_model_file

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ALL = {**KINDS, **ENSEMBLES}
each_kind = pytest.mark.parametrize("kind", ALL.values(), ids=ALL)


def fitted(kind, **settings):
    return kind.make(**settings).fit(kind.X, kind.y)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pellucid"


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_loaded_is_what_was_saved(path, name):
    model = EXAMPLES[name]()
    model.save(path)
    loaded, rows = load(path), data_of(model)
    assert type(loaded) is type(model)
    assert repr(loaded.get_params()) == repr(model.get_params())
    assert predictions_of(loaded, rows) == predictions_of(model, rows)
    assert str(loaded.describe()) == str(model.describe())
    for known, other in ((vars(model), vars(loaded)), (vars(loaded), vars(model))):
        missing = {name for name in known if name.endswith("_")} - {*other, "statistics_"}
        assert not missing
    one, other = [getattr(each, "estimators_", [each]) for each in (model, loaded)]
    for member, again in zip(one, other, strict=True):
        assert learned_by(again) == learned_by(member)
        assert again.chain_ == member.chain_
        if hasattr(member, "encoder_"):
            assert again.encoder_.recognized_ == member.encoder_.recognized_
    if getattr(model, "n_layers_", 0) > 2:
        np.testing.assert_array_equal(loaded.transform(rows), model.transform(rows))
    first = path.read_bytes()
    save(loaded, path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("name", [*FAMILIES, *ENSEMBLES])
def test_the_name_of_y_is_kept_until_the_next_fit(path, name):
    kind = ALL[name]
    model = kind.make(max_iter=1).fit(kind.X, pd.Series(kind.y, name="fruit"))
    assert model.target_names_ == ("fruit",)
    assert " of 'fruit'" in model.describe().facts["predicts"]
    save(model, path)
    loaded = load(path)
    assert loaded.target_names_ == ("fruit",)
    assert loaded.fit(kind.X, kind.y).target_names_ is None
    save(loaded, path)
    assert load(path).target_names_ is None


@pytest.mark.parametrize(
    "name", [name for name, kind in KINDS.items() if kind.y.ndim > 1 and name[:3] != "Net"]
)
def test_so_are_the_names_of_several_targets(path, name):
    kind = ALL[name]
    names = tuple("pqr"[: kind.y.shape[1]])
    save(kind.make(max_iter=1).fit(kind.X, pd.DataFrame(kind.y, columns=names)), path)
    assert load(path).target_names_ == names


@pytest.mark.parametrize("name", [*FAMILIES, *ENSEMBLES][::2])
def test_facts_of_the_training_are_kept_until_the_next(path, name):
    kind = ALL[name]
    model = kind.make(max_iter=1).fit(kind.X, kind.y)
    model.training_facts_ = {"seed": 3, "test": {"accuracy": 0.5}, "rows": [1, None]}
    save(model, path)
    loaded = load(path)
    assert loaded.training_facts_ == model.training_facts_
    loaded.fit(kind.X, kind.y)
    assert not hasattr(loaded, "training_facts_")
    save(loaded, path)
    assert not hasattr(load(path), "training_facts_")


def test_an_ensemble_of_default_networks_comes_back(path):
    model = DeepEnsembleClassifier(n_estimators=1, random_state=0).fit(X[:20], LABELS[:20])
    model.save(path)
    loaded = load(path)
    assert loaded.estimator is None
    assert loaded.estimators_[0].get_params() == model.estimators_[0].get_params()
    assert predictions_of(loaded, X) == predictions_of(model, X)


def test_members_that_know_other_classes_are_refused(path):
    kind = ENSEMBLES["DeepEnsembleClassifier of MLPClassifier, three labels"]
    model = fitted(kind)
    model.estimators_[1] = kind.make().fit(X, LABELS == "yes").estimators_[0]
    model.save(path)
    with pytest.raises(ModelFileError, match="different classes"):
        load(path)


@each_kind
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_pickles_and_copies_are_models_of_their_own(kind, copied):
    model = fitted(kind)
    said = predictions_of(model, kind.X)
    other = copied(model)
    assert predictions_of(other, kind.X) == said
    for member in getattr(other, "estimators_", [other]):
        member.parameters_.flat[:] = 0.0
    assert predictions_of(model, kind.X) == said
    assert predictions_of(other, kind.X) != said
    assert predictions_of(other.fit(kind.X, kind.y), kind.X) == said


@each_kind
def test_a_loaded_model_is_fitted_again_as_the_saved_one(path, kind):
    model = fitted(kind)
    model.save(path)
    said = predictions_of(model, kind.X)
    assert predictions_of(load(path).fit(kind.X, kind.y), kind.X) == said
    assert predictions_of(clone(load(path)).fit(kind.X, kind.y), kind.X) == said


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_loaded_model_goes_on_as_the_saved_one(path, kind):
    settings, given = kind.held_out
    model = kind.make(warm_start=True, **settings).fit(kind.X, kind.y, **given)
    model.fit(kind.X, kind.y, **given).save(path)
    loaded = load(path)
    assert learned_by(loaded) == learned_by(model)
    for each in (model, loaded):
        each.fit(kind.X, kind.y, **given)
    assert learned_by(loaded) == learned_by(model)


def test_partial_fit_goes_on_from_the_weights_of_a_file(path):
    kind = KINDS["MLPClassifier, three labels"]
    model = fitted(kind)
    said = predictions_of(model, kind.X)
    model.save(path)
    loaded = load(path).partial_fit(kind.X, kind.y)
    assert predictions_of(loaded, kind.X) != said
    assert loaded.t_ == model.t_ + len(kind.y)
    assert predictions_of(model, kind.X) == said


def test_another_process_predicts_the_same_bits(tmp_path):
    said = {}
    for i, (name, kind) in enumerate(ALL.items()):
        model = fitted(kind)
        model.save(tmp_path / f"{i}.pellucid")
        (tmp_path / f"{i}.pickle").write_bytes(pickle.dumps(model))
        said[name] = np.asarray(model.predict(kind.X)).tolist()
    np.save(tmp_path / "X.npy", X)
    TABLE.to_parquet(tmp_path / "table.parquet")
    script = f"""
        import json, pickle
        import numpy as np, pandas as pd
        from pellucid import load
        X, table = np.load("X.npy"), pd.read_parquet("table.parquet")
        for i in range({len(ALL)}):
            with open(f"{{i}}.pickle", "rb") as file:
                models = [load(f"{{i}}.pellucid"), pickle.load(file)]
            member = getattr(models[0], "estimators_", models)[0]
            rows = table if hasattr(member, "encoder_") else X
            print(json.dumps([np.asarray(model.predict(rows)).tolist() for model in models]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for (name, wanted), line in zip(said.items(), done.stdout.splitlines(), strict=True):
        assert json.loads(line) == [wanted, wanted], name


@each_kind
def test_places_and_code_are_not_in_files(tmp_path, path, kind):
    """A file must not make anything happen outside of itself."""
    folder, told = tmp_path / "secret place", []
    settings = {"callbacks": [told.append]}
    if kind.family != "Ensemble":
        settings["checkpoint_path"] = folder
    model = fitted(kind, **settings)
    n_told = len(told)
    assert n_told > 0
    model.save(path)
    assert b"secret place" not in path.read_bytes()
    assert b"callbacks" not in path.read_bytes()
    loaded = load(path)
    member = loaded.estimator if kind.family == "Ensemble" else loaded
    assert (member.callbacks, member.checkpoint_path) == (None, None)
    before = sorted(folder.iterdir()) if folder.exists() else []
    loaded.fit(kind.X, kind.y)
    assert len(told) == n_told
    assert (sorted(folder.iterdir()) if folder.exists() else []) == before


def places_in(header):
    """Return all constructor parameters in a file, those of members too."""
    found, state = [header["params"]], header["state"]
    found += [part["params"] for part in state.get("members", [])]
    if isinstance(found[0].get("estimator"), dict):
        found.append(found[0]["estimator"]["estimator"][1])
    return found


@each_kind
def test_a_file_that_names_places_loads_without_them(tmp_path, path, kind):
    """As files of before did, and as a file made by hand may."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "epoch-000009.pellucid").write_text("mine")
    fitted(kind).save(path)
    header, arrays = read_model_file(path)
    for params in places_in(header):
        params |= {"checkpoint_path": str(folder), "callbacks": ["print"]}
    path.write_bytes(signed(header, arrays))
    loaded = load(path)
    for model in (loaded, *getattr(loaded, "estimators_", ())):
        assert model.get_params().get("checkpoint_path") is None
        assert model.get_params().get("callbacks") is None
    loaded.fit(kind.X, kind.y)
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [
        ("epoch-000009.pellucid", "mine")
    ]


def test_parameters_stay_what_they_are(path):
    model = MLPClassifier(
        (6,), alpha=np.float32(0.5), dtype=np.float32, max_iter=3, random_state=np.int64(3)
    ).fit(X, LABELS)
    model.save(path)
    loaded = load(path)
    assert (loaded.hidden_layer_sizes, loaded.alpha, loaded.random_state) == ((6,), 0.5, 3)
    assert loaded.coefs_[0].dtype == np.float32
    fitted(KINDS["TabularClassifier"]).save(path)
    loaded = load(path)
    reordered = TABLE[TABLE.columns[::-1]]
    np.testing.assert_array_equal(loaded.predict(reordered), loaded.predict(TABLE))


def test_what_was_learned_decides_what_a_network_answers_and_not_its_parameter(path):
    for name, loss in (
        ("Network, numbers", "softmax_cross_entropy"),
        ("Network, labels", "half_squared_error"),
    ):
        kind = KINDS[name]
        network = fitted(kind)
        said, score = predictions_of(network, kind.X), network.score(kind.X, kind.y)
        network.set_params(loss=loss).save(path)
        for each in (network, load(path)):
            assert predictions_of(each, kind.X) == said
            assert each.score(kind.X, kind.y) == score


def test_what_a_file_cannot_hold_is_saved_as_none_with_a_word(path):
    def score(estimator, X, y):
        return 0.0

    settings = {"max_iter": 2, "early_stopping": True, "scoring": score}
    model = MLPClassifier((3,), random_state=np.random.RandomState(0), **settings).fit(X, LABELS)
    with pytest.warns(UserWarning, match="saved as None") as caught:
        save(model, path)
    told = [str(warning.message).partition(" is ")[0] for warning in caught]
    assert sorted(told) == ["random_state", "scoring"]
    assert (load(path).random_state, load(path).scoring) == (None, None)


class Doubling(Layer):
    def forward(self, parameters, x, context):
        return 2.0 * x

    def backward(self, parameters, dy, x, y, context):
        return 2.0 * dy, {}


class Derived(MLPClassifier):
    pass


def squared(scores, targets, weights):
    residual = scores - targets
    return 0.5 * np.mean(residual**2), residual / residual.size


def search():
    return GridSearchCV(MLPRegressor(max_iter=2), {"alpha": [0.1]}, cv=2)


SINE = CustomActivation(np.sin, np.cos)
UNSAVEABLE = {
    "BaseEstimator cannot be saved; these can: .*MLPClassifier": BaseEstimator,
    "GridSearchCV cannot be saved": lambda: search().fit(X, NUMBERS),
    "Derived cannot be saved": lambda: Derived(max_iter=2).fit(X, LABELS),
    "a member is a Derived, which cannot be saved": lambda: DeepEnsembleClassifier(
        Derived(max_iter=2), 2
    ).fit(X, LABELS),
    "parameter alpha is <built-in": lambda: fitted(KINDS["MLPClassifier, three labels"]).set_params(
        alpha=print
    ),
    "the loss holds a CustomLoss of your own|parameter loss is": lambda: fitted(
        KINDS["MLPRegressor"], loss=squared
    ),
    "layer 1 holds a CustomActivation of your own|parameter activation is": lambda: fitted(
        KINDS["MLPRegressor"], activation=SINE
    ),
    "layer 0 holds a Doubling of your own|parameter layers": lambda: Network(
        [Doubling(), Linear(1)], "squared_error", engine="reference", max_iter=1
    ).fit(X, NUMBERS),
}


@pytest.mark.parametrize("message", UNSAVEABLE)
def test_what_cannot_be_saved_is_named(path, message):
    path.write_text("an earlier file")
    with pytest.raises(TypeError, match=message):
        save(UNSAVEABLE[message](), path)
    assert path.read_text() == "an earlier file"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@each_kind
def test_what_is_not_fitted_is_not_saved(path, kind):
    with pytest.raises(NotFittedError):
        save(kind.make(), path)
    assert not path.exists()


def test_a_pipeline_is_told_to_save_the_estimator_inside(path):
    pipeline = make_pipeline(StandardScaler(), MLPRegressor(max_iter=2)).fit(X, NUMBERS)
    with pytest.raises(TypeError, match="a Pipeline cannot be saved") as raised:
        save(pipeline, path)
    for advice in ("pellucid.save(pipeline[-1], path)", "TabularClassifier", "pickle or skops"):
        assert advice in str(raised.value)
    assert not path.exists()
    save(pipeline[-1], path)
    scaled = pipeline[:-1].transform(X)
    np.testing.assert_array_equal(load(path).predict(scaled), pipeline.predict(X))


def test_a_network_without_parameters_comes_back(path):
    for dtype in ("float32", "float64"):
        network = Network([Activation("relu")], "squared_error", dtype=dtype, max_iter=1)
        network.fit(X, X).save(path)
        np.testing.assert_array_equal(load(path).predict(X), network.predict(X))


def put(*path, value):
    def craft(header, arrays):
        inner = header
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return craft


def drop(*path):
    def craft(header, arrays):
        inner = header
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]

    return craft


def array(change):
    def craft(header, arrays):
        name = next(name for name in arrays if name.endswith("0.W"))
        arrays[name] = np.ascontiguousarray(change(arrays[name]))

    return craft


def labels(dtype, values):
    return put("state", "targets", "labels", value={"dtype": dtype, "values": values})


LINEAR = {"Linear": {"fan_out": 10**9}}
OF_ALL = {
    "an estimator that is code": put("estimator", value="os.system"),
    "an estimator that is a list": put("estimator", value=["MLPClassifier"]),
    "no estimator": drop("estimator"),
    "no parameters": put("params", value=None),
    "an unknown parameter": put("params", "no_such_parameter", value=1),
    "a parameter that calls": put("params", "n_threads", value={"call": "print"}),
    "a wrong parameter": put("params", "n_threads", value=-3),
    "no state": drop("state"),
    "an empty state": put("state", value={}),
    "a state that is a list": put("state", value=[1]),
    "an array too many": lambda header, arrays: arrays.update({"9.W": np.zeros(3)}),
    "an array too few": lambda header, arrays: arrays.pop(next(iter(arrays))),
    "an array of fewer rows": array(lambda a: a[:-1]),
    "an array of another shape": array(lambda a: a.T[None]),
    "an array of another precision": array(lambda a: a.astype(np.float16)),
    "an array of integers": array(lambda a: a.astype(np.int64)),
}
OF_ONE = {
    "no targets": drop("state", "targets"),
    "targets of an unknown kind": put("state", "targets", "kind", value="exec"),
    "targets of another kind": put("state", "targets", value={"kind": "shares", "n_outputs": 7}),
    "targets with another field": put("state", "targets", "other", value=1),
    "no outputs": put("state", "targets", "n_outputs", value=0),
    "outputs in a text": put("state", "targets", "n_outputs", value="3"),
    "outputs without end": put("state", "targets", "n_outputs", value=10**12),
    "an outcome that is none": put("state", "outcome", value="EXPLODED"),
}
CHAIN = {
    "no layers": lambda place: put("state", place, "layers", value=[]),
    "a layer too large": lambda place: put("state", place, "layers", 0, value=LINEAR),
    "an embedding": lambda place: put(
        "state", place, "layers", 0, value={"Embedding": {"n_rows": 9, "width": 3}}
    ),
    "a layer that is code": lambda place: put(
        "state", place, "layers", 1, value={"eval": {"function": "print"}}
    ),
    "a loss that is code": lambda place: put(
        "state", place, "loss", value={"Loss": {"name": "eval"}}
    ),
    "a loss that is a layer": lambda place: put("state", place, "loss", value=LINEAR),
    "another loss": lambda place: put(
        "state", place, "loss", value={"Loss": {"name": "hinge_of_nothing"}}
    ),
}
PERCEPTRON = {
    **{name: craft("network") for name, craft in CHAIN.items()},
    "other inputs": put("state", "n_inputs", value=10**9),
    "no number of epochs": drop("state", "numbers", "n_iter_"),
    "epochs in a text": put("state", "numbers", "n_iter_", value="2"),
    "negative epochs": put("state", "numbers", "n_iter_", value=-1),
    "infinite epochs": put("state", "numbers", "n_iter_", value=float("inf")),
    "negative rows": put("state", "numbers", "t_", value=-1),
    "no loss": drop("state", "numbers", "loss_"),
    "calls beyond any": put("state", "n_partial_fits", value=2**32),
    "a curve of texts": put("state", "curves", value={"loss_curve_": ["x"]}),
    "a curve that is a number": put("state", "curves", value={"loss_curve_": 1.0}),
}
NUMBERS_OF_A = ("state", "encoder", "columns", 0, "encoding")
TABULAR = {
    "no encoder": drop("state", "encoder"),
    "no columns": put("state", "encoder", "columns", value=[]),
    "a kind that is code": put("state", "encoder", "columns", 0, "kind", value="exec"),
    "an encoding of nothing": put("state", "encoder", "columns", 0, "encoding", value={}),
    "numbers beyond float32": put(*NUMBERS_OF_A, "scale", value=1e-300),
    "an infinite edge": put(*NUMBERS_OF_A, "edges", value=[float("-inf"), 0.0, 1.0]),
    "edges too close": put(*NUMBERS_OF_A, "edges", value=[0.0, 5e-324, 1.0]),
    "two columns of one name": put("state", "encoder", "columns", 0, "name", value="b"),
    "an unknown precision": put("state", "encoded_dtype", value="object"),
}
NETWORK = {
    **{name: craft("chain") for name, craft in CHAIN.items()},
    "other inputs": put("state", "fan_in", value=10**12),
    "negative inputs": put("state", "fan_in", value=-1),
    "another precision": put("state", "dtype", value="float64"),
    "a precision that is none": put("state", "dtype", value="object"),
    "an unknown engine": put("params", "engine", value="os"),
    "a history that is a list": put("state", "history", value=[1]),
    "no losses": put("state", "history", value={}),
    "negative epochs": put("state", "n_iter", value=-1),
    "names that do not fit": put("state", "feature_names_in", value=["a"]),
    "names that are numbers": put("state", "feature_names_in", value=[1, 2, 3, 4]),
}
THREE_LABELS = {
    "labels of a huge type": labels("V1000000000", []),
    "labels of a long type": labels("<U1000000000", ["a", "b", "c"]),
    "labels of another type": labels("int64", ["a", "b", "c"]),
    "one label thrice": labels("int64", [1, 1, 1]),
    "labels in disorder": labels("int64", [1, 3, 2]),
    "too few labels": labels("int64", [1]),
    "labels that are lists": labels("object", [[1], [2], [3]]),
    "labels that are infinite": labels("float64", [1.0, 2.0, float("inf")]),
    "no labels": put("state", "targets", "labels", value=None),
}
ONE_NUMBER = {
    "a vector of two": put("state", "targets", "n_outputs", value=2),
    "a boolean that is a number": put("state", "targets", "is_vector", value=1),
    "more means than outputs": put("state", "targets", "mean", value=[1.0, 2.0]),
    "a negative scale": lambda header, arrays: header["state"]["targets"].update(
        mean=[0.0], scale=[-1.0]
    ),
    "an infinite mean": lambda header, arrays: header["state"]["targets"].update(
        mean=[float("inf")], scale=[1.0]
    ),
}
MEMBERS = {
    "no members": put("state", "members", value=[]),
    "members that are numbers": put("state", "members", value=[1, 2]),
    "a member of no class": put("state", "members", 0, "estimator", value="exec"),
    "a member of another class": put("state", "members", 0, "estimator", value="MLPRegressor"),
    "an ensemble as member": put(
        "state", "members", 0, "estimator", value="DeepEnsembleClassifier"
    ),
    "a member fewer": lambda header, arrays: header["state"]["members"].pop(),
    "names that do not fit": put("state", "feature_names_in", value=["a"]),
    "parameters of a member that call": put(
        "state", "members", 0, "params", "alpha", value={"call": "print"}
    ),
}
CRAFTS = {
    "MLPClassifier, three labels": {**OF_ALL, **OF_ONE, **PERCEPTRON, **THREE_LABELS},
    "MLPRegressor": {**OF_ALL, **OF_ONE, **PERCEPTRON, **ONE_NUMBER},
    "Network, labels": {**OF_ALL, **OF_ONE, **NETWORK, **THREE_LABELS},
    "Network, numbers": {**OF_ALL, **OF_ONE, **NETWORK, **ONE_NUMBER},
    "TabularClassifier": {
        **OF_ALL,
        **OF_ONE,
        **PERCEPTRON,
        **THREE_LABELS,
        **TABULAR,
        "shares that do not fit": put("state", "class_shares", value=[1.0]),
    },
    "TabularRegressor": {**OF_ALL, **OF_ONE, **PERCEPTRON, **ONE_NUMBER, **TABULAR},
    "DeepEnsembleClassifier of MLPClassifier, three labels": {**OF_ALL, **MEMBERS},
    "DeepEnsembleRegressor of TabularRegressor": OF_ALL,
}


def regressors_in_a_classifier(header, arrays):
    header["estimator"] = "DeepEnsembleClassifier"
    for params in places_in(header)[1:]:
        params["loss"] = "softmax_cross_entropy"


CRAFTS["DeepEnsembleRegressor of Network, numbers"] = {
    "members that know numbers": regressors_in_a_classifier
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name in CRAFTS:
        with warnings.catch_warnings(action="ignore"):
            fitted(ALL[name]).save(folder / name)
    return {name: read_model_file(folder / name) for name in CRAFTS}


@pytest.mark.parametrize(
    ("name", "craft"), [(n, c) for n, crafts in CRAFTS.items() for c in crafts]
)
def test_contents_that_do_not_fit_together_are_refused(path, files, name, craft):
    header, arrays = copy.deepcopy(files[name])
    CRAFTS[name][craft](header, arrays)
    path.write_bytes(signed(header, arrays))
    with pytest.raises(ModelFileError, match=r"does not know|is damaged"):
        load(path)


def test_a_file_may_claim_columns_of_y_only_as_far_as_memory_allows(path, files):
    """`classes_` numbers them, and layers without parameters take no place in the file."""
    header, _ = copy.deepcopy(files["Network, labels"])
    relu = {"Activation": {"function": "relu", "parameter": None, "blend": 1.0}}
    for n, loss in ((10**9, "softmax_cross_entropy"), (10**15, "logistic_cross_entropy")):
        kind = "shares" if loss.startswith("softmax") else "indicators"
        header["state"] |= {
            "chain": {"layers": [relu], "loss": {"Loss": {"name": loss, "parameter": None}}},
            "fan_in": n,
            "targets": {"kind": kind, "n_outputs": n},
        }
        path.write_bytes(signed(header, {}))
        with pytest.raises(ModelFileError, match=f"cannot have {n} columns"):
            load(path)
