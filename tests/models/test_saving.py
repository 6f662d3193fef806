import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from pellucid import (
    MLPClassifier,
    MLPRegressor,
    TabularClassifier,
    TabularRegressor,
    load,
    save,
)
from pellucid.persistence import ModelFileError, read_model_file, write_model_file

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
TABLE = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.array(["u", "v", "w"])[CODES])
LABELS = {
    "text": np.array(["no", "yes", "maybe"])[CODES],
    "objects": np.array(["no", "yes", "maybe"], dtype=object)[CODES],
    "integers": CODES * 10,
    "small integers": CODES.astype(np.uint8),
    "booleans": CODES > 0,
    "floats": CODES + 0.0,
    "one class": np.zeros(len(X), int),
}
SETTINGS = {"hidden_layer_sizes": (8, 5), "max_iter": 5, "random_state": 0}


def there_and_back(model, tmp_path):
    save(model, tmp_path / "m.pellucid")
    return load(tmp_path / "m.pellucid")


def assert_same(model, other, X):
    assert type(model) is type(other)
    assert model.get_params() == other.get_params()
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))
        np.testing.assert_array_equal(model.classes_, other.classes_)
        assert model.classes_.dtype == other.classes_.dtype
    assert model.loss_curve_ == other.loss_curve_
    assert model.n_iter_ == other.n_iter_
    assert model.n_features_in_ == other.n_features_in_


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classifier(tmp_path, labels, dtype):
    model = MLPClassifier(**SETTINGS).fit(X.astype(dtype), labels)
    other = there_and_back(model, tmp_path)
    assert_same(model, other, X.astype(dtype))
    assert other.coefs_[0].dtype == dtype


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_parameters_stay_what_they_are(tmp_path, activation):
    model = MLPClassifier(
        (6,),
        activation,
        early_stopping=True,
        alpha=np.float32(0.5),
        max_iter=3,
        random_state=np.int64(3),
    ).fit(X, CODES)
    other = there_and_back(model, tmp_path)
    assert_same(model, other, X)
    assert other.hidden_layer_sizes == (6,)
    assert other.validation_scores_ == model.validation_scores_
    assert other.best_validation_score_ == model.best_validation_score_


def test_multilabel(tmp_path):
    Y = np.column_stack([CODES > 0, CODES > 1]).astype(int)
    model = MLPClassifier(**SETTINGS).fit(X, Y)
    assert_same(model, there_and_back(model, tmp_path), X)


@pytest.mark.parametrize("y", [X[:, 0] * 100, X[:, :2] * 100], ids=["one", "two"])
def test_regressors(tmp_path, y):
    model = MLPRegressor(**SETTINGS).fit(X, y)
    assert_same(model, there_and_back(model, tmp_path), X)
    model = TabularRegressor(**SETTINGS).fit(TABLE, y)
    assert_same(model, there_and_back(model, tmp_path), TABLE)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_tabular_classifier(tmp_path, labels):
    model = TabularClassifier(columns={"a": "left out"}, **SETTINGS).fit(TABLE, labels)
    other = there_and_back(model, tmp_path)
    assert_same(model, other, TABLE)
    assert other.columns == {"a": "left out"}
    assert other.encoder_.recognized_ == model.encoder_.recognized_
    assert other.feature_names_in_.tolist() == list(TABLE.columns)
    with pytest.raises(ValueError, match="same order"):
        other.predict(TABLE[TABLE.columns[::-1]])


def test_saving_a_loaded_model_gives_the_same_file(tmp_path):
    model = TabularClassifier(**SETTINGS).fit(TABLE, LABELS["text"])
    save(model, tmp_path / "one")
    load(tmp_path / "one").save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_loaded_model_can_be_trained_again(tmp_path):
    model = MLPClassifier(**SETTINGS).fit(X, CODES)
    other = there_and_back(model, tmp_path)
    before = other.predict_proba(X)
    other.partial_fit(X, CODES)
    assert np.abs(other.predict_proba(X) - before).max() > 0
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_another_process_predicts_the_same_bits(tmp_path):
    model = TabularClassifier(**SETTINGS).fit(TABLE, LABELS["text"])
    model.save(tmp_path / "m.pellucid")
    TABLE.to_parquet(tmp_path / "t.parquet")
    script = f"""
        import sys
        import pandas as pd
        from pellucid import load
        model = load({str(tmp_path / "m.pellucid")!r})
        table = pd.read_parquet({str(tmp_path / "t.parquet")!r})
        sys.stdout.write(model.predict_proba(table).tobytes().hex())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout == model.predict_proba(TABLE).tobytes().hex()


def test_a_generator_is_saved_as_none_with_a_word(tmp_path):
    model = MLPClassifier((3,), max_iter=2, random_state=np.random.RandomState(0)).fit(X, CODES)
    with pytest.warns(UserWarning, match="random_state .* saved as None"):
        save(model, tmp_path / "m")
    assert load(tmp_path / "m").random_state is None


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save(MLPClassifier(), tmp_path / "m")
    with pytest.raises(TypeError, match="BaseEstimator cannot be saved"):
        save(BaseEstimator(), tmp_path / "m")

    class Derived(MLPClassifier):
        pass

    with pytest.raises(TypeError, match="Derived cannot be saved"):
        save(Derived(**SETTINGS).fit(X, CODES), tmp_path / "m")
    model = MLPClassifier(**SETTINGS).fit(X, CODES).set_params(alpha=print)
    with pytest.raises(TypeError, match="parameter alpha"):
        save(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def forgeries():
    """Changes to the contents of a file, its checksum made right again."""

    def change(path, value):
        def apply(header, arrays):
            inner = header
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value

        return apply

    mlp = ("state", "mlp")
    return [
        change(("estimator",), "os.system"),
        change(("estimator",), ["TabularClassifier"]),
        change(("params",), None),
        change(("params", "no_such_parameter"), 1),
        change(("params", "hidden_layer_sizes"), {"call": "print"}),
        change(("state",), {}),
        change(("state", "encoder", "columns"), []),
        change(("state", "encoder", "columns", 0, "kind"), "exec"),
        change(("state", "encoder", "columns", 0, "encoding"), {"categories": 3}),
        change(("state", "mlp_params", "activation"), "exec"),
        change((*mlp, "n_features_in"), 10**9),
        change((*mlp, "network", "layers"), []),
        change((*mlp, "network", "layers", 0), {"Linear": {"fan_out": 10**9}}),
        change((*mlp, "network", "layers", 0), {"Embedding": {"n_rows": 9, "width": 3}}),
        change((*mlp, "network", "layers", 1), {"eval": {"function": "print"}}),
        change((*mlp, "network", "loss"), {"Loss": {"name": "eval"}}),
        change((*mlp, "network", "loss"), {"Loss": {"name": "huber"}}),
        change((*mlp, "classes"), {"dtype": "V1000000000", "values": []}),
        change((*mlp, "classes"), {"dtype": "<U1000000000", "values": ["a", "b", "c"]}),
        change((*mlp, "classes"), {"dtype": "int64", "values": ["a", "b", "c"]}),
        change((*mlp, "classes"), {"dtype": "int64", "values": [1, 1, 1]}),
        change((*mlp, "classes"), {"dtype": "int64", "values": [1]}),
        change((*mlp, "target_type"), "unknown"),
        change((*mlp, "curves"), {"loss_curve_": ["x"]}),
        change(("state", "class_shares"), [1.0]),
        lambda header, arrays: arrays.pop("0.W"),
        lambda header, arrays: arrays.update({"0.W": arrays["0.W"][:-1]}),
        lambda header, arrays: arrays.update({"0.W": arrays["0.W"].astype(np.float64)}),
        lambda header, arrays: arrays.update({"0.W": arrays["0.W"].astype(np.int64)}),
        lambda header, arrays: arrays.update({"0.b": arrays["0.b"][None]}),
        lambda header, arrays: arrays.update({"2.W": arrays["2.W"].T}),
        lambda header, arrays: arrays.update({"9.W": arrays["2.W"]}),
    ]


@pytest.mark.parametrize("forge", forgeries(), ids=lambda _: "forgery")
def test_contents_that_do_not_fit_together(tmp_path, forge):
    path = tmp_path / "m.pellucid"
    TabularClassifier(**SETTINGS).fit(TABLE, LABELS["text"]).save(path)
    header, arrays = read_model_file(path)
    forge(header, arrays)
    write_model_file(path, header, arrays)
    with pytest.raises(ModelFileError, match=r"does not know|is damaged"):
        load(path).predict(TABLE)


def test_two_thousand_mutations_of_a_model(tmp_path):
    path = tmp_path / "m.pellucid"
    model = TabularClassifier(**SETTINGS).fit(TABLE, LABELS["text"])
    model.save(path)
    expected = model.predict_proba(TABLE[:5])
    original = path.read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(2000):
        data = bytearray(original)
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        path.write_bytes(bytes(data))
        try:
            other = load(path)
        except ModelFileError:
            continue
        np.testing.assert_array_equal(other.predict_proba(TABLE[:5]), expected)
