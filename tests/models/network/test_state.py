"""What a file keeps of a `Network`, and files whose parts do not fit together.

What all estimators do alike when they are saved is tested in tests/models/test_saving.py.
"""

import copy

import numpy as np
import pytest

import pellucid
from pellucid import Network
from pellucid.nn import (
    Activation,
    BatchNorm,
    Dropout,
    Layer,
    LayerNorm,
    Linear,
    ParametricActivation,
    Residual,
    RMSNorm,
)
from pellucid.persistence import ModelFileError, read_model_file, write_model_file

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 6))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
LABELS = np.array(["no", "yes", "maybe"])[CODES]
Y = {
    "softmax_cross_entropy": LABELS,
    "softmax_cross_entropy, shares": np.eye(3)[CODES],
    "logistic_cross_entropy": np.stack([CODES > 0, CODES > 1, X[:, 2] > 0], axis=1) * 1,
    "half_squared_error": X[:, :3] @ np.ones((3, 3)),
    "poisson": np.stack([CODES, CODES + 1, CODES + 2], axis=1),
}
LAYERS = [
    Linear(8, weights="he_normal"),
    RMSNorm(),
    ParametricActivation("elu", 0.5),
    Residual([Dropout(0.2), LayerNorm(), Linear(8), Activation("silu")]),
    Linear(3),
]


def network(loss, layers=LAYERS, **settings):
    settings = {"max_iter": 2, "random_state": 0, **settings}
    return Network(layers, loss.partition(",")[0], **settings)


def saved_and_loaded(fitted, path):
    fitted.save(path / "n.pellucid")
    return pellucid.load(path / "n.pellucid")


@pytest.mark.parametrize("case", Y)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_network_is_the_saved_one(tmp_path, case, dtype):
    y = Y[case]
    fitted = network(case, dtype=dtype).fit(X, y, rows_val=np.arange(20))
    loaded = saved_and_loaded(fitted, tmp_path)
    np.testing.assert_array_equal(loaded.parameters_.flat, fitted.parameters_.flat)
    assert loaded.parameters_.flat.dtype == fitted.parameters_.flat.dtype == dtype
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.evaluate(X, y) == fitted.evaluate(X, y)
    assert loaded.score(X, y) == fitted.score(X, y)
    for name in ("loss_curve_", "validation_loss_curve_", "validation_scores_", "n_iter_"):
        assert getattr(loaded, name) == getattr(fitted, name)
    for name in ("loss_", "outcome_", "best_validation_score_", "n_features_in_", "statistics_"):
        assert getattr(loaded, name) == getattr(fitted, name)
    assert loaded.chain_ == fitted.chain_
    assert str(loaded.describe_layers()) == str(fitted.describe_layers())
    for each in (loaded, fitted):
        each.set_params(warm_start=True, random_state=0, max_iter=1).fit(X, y)
    np.testing.assert_array_equal(loaded.parameters_.flat, fitted.parameters_.flat)


def test_two_labels_and_the_reference_engine_come_back(tmp_path):
    layers = [Linear(4), BatchNorm(), Activation("relu"), Linear(1)]
    y = np.where(CODES > 0, "yes", "no")
    fitted = network("logistic_cross_entropy", layers, engine="reference").fit(X, y)
    loaded = saved_and_loaded(fitted, tmp_path)
    assert loaded.engine == "reference"
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_bfloat16_comes_back(tmp_path):
    settings = {"dtype": "bfloat16", "engine": "reference", "max_iter": 1}
    fitted = network("softmax_cross_entropy", **settings).fit(X, LABELS)
    loaded = saved_and_loaded(fitted, tmp_path)
    assert loaded.dtype == "bfloat16"
    for each in (fitted, loaded):
        each.set_params(warm_start=True, random_state=0).fit(X, LABELS)
    np.testing.assert_array_equal(loaded.parameters_.flat, fitted.parameters_.flat)
    assert loaded.parameters_.flat.dtype == np.float32


def test_a_layer_of_ones_own_is_named(tmp_path):
    class Doubling(Layer):
        def forward(self, parameters, x, context):
            return 2.0 * x

        def backward(self, parameters, dy, x, y, context):
            return 2.0 * dy, {}

    layers = [Doubling(), Linear(1)]
    fitted = network("squared_error", layers, engine="reference").fit(X, X[:, 0])
    with pytest.raises(TypeError, match="layer 0 holds a Doubling of your own"):
        fitted.save(tmp_path / "n.pellucid")
    assert not (tmp_path / "n.pellucid").exists()


def _change(state, path, value):
    state = copy.deepcopy(state)
    place = state
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return state


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("chain", "layers"), []),
        (("chain", "layers"), [{"Linear": {"fan_out": 3}}]),
        (("chain", "layers"), [{"subprocess.run": {"args": "true"}}]),
        (("chain", "loss"), {"Linear": {"fan_out": 3}}),
        (("fan_in",), 10**12),
        (("fan_in",), -1),
        (("fan_in",), None),
        (("dtype",), "float64"),
        (("dtype",), "object"),
        (("targets",), {}),
        (("targets", "kind"), "own"),
        (("targets", "kind"), "numbers"),
        (("targets", "n_outputs"), 2),
        (("targets", "labels"), None),
        (("targets", "labels"), {"dtype": "str", "values": ["a", "b", "b"]}),
        (("targets", "labels"), {"dtype": "str", "values": ["a", "b"]}),
        (("history",), [1]),
        (("history",), {}),
        (("history",), {"loss": ["a"]}),
        (("n_iter",), "many"),
        (("outcome",), "DANCED"),
        (("feature_names_in",), ["a"]),
        (("feature_names_in",), [1, 2, 3, 4, 5, 6]),
    ],
    ids=str,
)
def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path, path, value):
    network("softmax_cross_entropy", max_iter=1).fit(X, LABELS).save(tmp_path / "n.pellucid")
    header, arrays = read_model_file(tmp_path / "n.pellucid")
    header["state"] = _change(header["state"], path, value)
    write_model_file(tmp_path / "n.pellucid", header, arrays)
    with pytest.raises(ModelFileError, match="do not make a Network"):
        pellucid.load(tmp_path / "n.pellucid")


def test_files_of_before_that_name_an_unknown_engine_are_refused(tmp_path):
    """They keep engine and precision beside the parameters of the network."""
    network("softmax_cross_entropy", max_iter=1).fit(X, LABELS).save(tmp_path / "n.pellucid")
    header, arrays = read_model_file(tmp_path / "n.pellucid")
    header["params"] = {}
    for engine in ("reference", "os"):
        header["state"]["engine"] = engine
        write_model_file(tmp_path / "n.pellucid", header, arrays)
        if engine == "reference":
            assert pellucid.load(tmp_path / "n.pellucid").engine == engine
        else:
            with pytest.raises(ModelFileError, match="do not make a Network"):
                pellucid.load(tmp_path / "n.pellucid")
