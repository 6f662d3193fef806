"""Every layer and every link as ONNX: checked by its checker, equal in ONNX Runtime."""

import sys

import numpy as np
import pytest
from layer_examples import LAYERS

from pellucid import nn
from pellucid.nn import (
    Activation,
    Columns,
    CustomLoss,
    Embedding,
    Layer,
    Linear,
    ParametricActivation,
)
from pellucid.nn.losses import softmax
from pellucid.persistence import ModelFileError
from pellucid.persistence.onnx import chain_to_onnx, storable_labels, write_onnx
from pellucid.persistence.onnx_layers import ACTIVATIONS, LINKS
from pellucid.persistence.onnx_layers import LAYERS as WRITTEN_LAYERS

onnx = pytest.importorskip("onnx", reason='the format is read with it: pip install "onnx>=1.17"')
onnxruntime = pytest.importorskip(
    "onnxruntime", reason='ONNX Runtime is the peer here: pip install "onnxruntime>=1.20"'
)

FAN_IN = 4
CHAINS = {
    **LAYERS,
    **{name: [Activation(name)] for name in nn.ACTIVATIONS},
    **{f"{name}, blended": [Activation(name, blend=0.3)] for name in nn.ACTIVATIONS},
    **{f"{name}, parametric": [ParametricActivation(name)] for name in nn.ACTIVATIONS},
    "leaky_relu, with parameter": [Activation("leaky_relu", 0.37)],
    "elu, with parameter": [Activation("elu", 0.37)],
    "linear": [Linear(3)],
    "linear, no bias": [Linear(3, bias=False)],
    "embedding": [Embedding(7, 3)],
    "embedding among numbers": [Columns([(3, Activation("identity")), (1, Embedding(7, 3))])],
    "nothing": [],
}
RTOL = {"float32": 1e-5, "float64": 1e-7}
"""In float64 what ONNX keeps in float32 is rounded (ε, slopes, the error function): 6e-8 each."""


def session(model):
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def random_parameters(chain, dtype):
    """Numbers of both signs and none near 0; what is a scale or a variance is positive."""
    rng = np.random.default_rng(0)
    parameters = chain.initialize(FAN_IN, seed=0, dtype=dtype)
    for entry in parameters.layout.entries:
        values = rng.uniform(0.2, 1.5, entry.shape)
        signs = 1 if entry.role in ("scale", "statistic") else rng.choice([-1, 1], entry.shape)
        parameters[entry.name][...] = values * signs
    return parameters


def rows_for(name, n, dtype):
    rng = np.random.default_rng(n)
    X = 4.0 * rng.normal(size=(n, FAN_IN))
    if name.startswith("embedding"):
        X = rng.integers(0, 7, X.shape)
    return X.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CHAINS)
def test_every_layer_agrees_with_onnx_runtime(name, dtype):
    chain = nn.Chain(CHAINS[name], "softmax_cross_entropy")
    parameters = random_parameters(chain, dtype)
    run = session(chain_to_onnx(chain, parameters, FAN_IN)).run
    for n in (0, 1, 200):
        X = rows_for(name, n, dtype)
        scores, predictions = run(["scores", "predictions"], {"X": X})
        expected = chain.forward(parameters, X).scores
        assert scores.dtype == dtype
        scale = np.abs(expected).max(initial=1.0)
        np.testing.assert_allclose(scores, expected, rtol=0, atol=RTOL[dtype] * scale)
        if n:
            assert scale < 1e4  # so that the comparison is no empty one
            np.testing.assert_allclose(predictions.sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_activations_of_huge_and_tiny_numbers(name, dtype):
    chain = nn.Chain([Activation(name)], "squared_error")
    parameters = chain.initialize(1, 0, dtype)
    X = np.array([-1e4, -100, -20, -1e-4, -0.0, 0, 1e-4, 20, 100, 1e4], dtype=dtype)[:, None]
    [scores] = session(chain_to_onnx(chain, parameters, 1)).run(["scores"], {"X": X})
    np.testing.assert_allclose(scores, chain.forward(parameters, X).scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", nn.LOSSES)
def test_every_link_agrees_with_onnx_runtime(loss, dtype):
    chain = nn.Chain([Linear(3)], loss)
    parameters = random_parameters(chain, dtype)
    run = session(chain_to_onnx(chain, parameters, FAN_IN)).run
    for n in (0, 1, 200):
        X = rows_for("", n, dtype)
        [predictions] = run(["predictions"], {"X": X})
        expected = chain.loss.link(chain.forward(parameters, X).scores)
        np.testing.assert_allclose(predictions, expected, rtol=1e-5, atol=1e-6)


def test_the_tables_are_complete():
    kinds = {kind for kind in vars(nn).values() if isinstance(kind, type)}
    layers = {kind for kind in kinds if Layer in kind.__mro__}
    assert set(WRITTEN_LAYERS) == layers - {Layer, nn.Add, nn.CustomActivation}
    assert set(ACTIVATIONS) == set(nn.ACTIVATIONS)
    assert set(LINKS) == {loss.link for loss in nn.LOSSES.values()}


def test_the_exponential_is_capped():
    chain = nn.Chain([], "poisson")
    run = session(chain_to_onnx(chain, chain.initialize(1, 0), 1)).run
    [means] = run(["predictions"], {"X": np.array([[100.0], [60.0], [0.0]])})
    np.testing.assert_allclose(means, [[np.exp(60.0)], [np.exp(60.0)], [1.0]], rtol=1e-7)


@pytest.mark.parametrize("wrong", [-1.0, 7.0, 0.5, np.nan])
def test_what_is_no_id_is_refused_by_the_runtime_too(wrong):
    chain = nn.Chain([Embedding(7, 2)], "squared_error")
    run = session(chain_to_onnx(chain, chain.initialize(1, 0), 1)).run
    with pytest.raises(Exception, match="out of data bounds"):
        run(None, {"X": np.array([[wrong]])})


class Doubling(Layer):
    def forward(self, parameters, x, context):
        return 2.0 * x


@pytest.mark.parametrize("layers", [[Doubling()], [Columns([(1, Doubling())])]])
def test_a_layer_of_ones_own_is_refused(layers):
    chain = nn.Chain(layers, "squared_error")
    with pytest.raises(TypeError, match="Doubling is a layer of your own"):
        chain_to_onnx(chain, chain.initialize(1, 0), 1)


def squared(scores, targets, weights):
    return 0.0, scores


def test_a_loss_of_ones_own_is_written_if_its_link_is_known():
    model = chain_to_onnx(nn.Chain([], squared), nn.Chain([], squared).initialize(2, 0), 2)
    X = np.array([[1.0, 2.0]])
    np.testing.assert_array_equal(session(model).run(["predictions"], {"X": X})[0], X)
    chain = nn.Chain([], CustomLoss(squared, link=softmax))
    model = chain_to_onnx(chain, chain.initialize(2, 0), 2)
    [predictions] = session(model).run(["predictions"], {"X": X})
    np.testing.assert_allclose(predictions, softmax(X), rtol=1e-12)
    chain = nn.Chain([], CustomLoss(squared, link=lambda scores: 2.0 * scores))
    with pytest.raises(TypeError, match="'squared' has a link of your own"):
        chain_to_onnx(chain, chain.initialize(2, 0), 2)


@pytest.mark.parametrize(
    ("classes", "dtype"),
    [
        (np.array(["a", "bé"]), np.object_),
        (np.array(["a", "b"], dtype=object), np.object_),
        (np.array([-1, 3], dtype=np.int8), np.int64),
        (np.array([1, 2], dtype=object), np.int64),
        (np.array([0.5, 1.0], dtype=np.float32), np.float64),
        (np.array([False, True]), np.bool_),
    ],
)
def test_labels_come_back(classes, dtype):
    assert storable_labels(classes).dtype == dtype
    chain = nn.Chain([], "logistic_cross_entropy")
    model = chain_to_onnx(chain, chain.initialize(1, 0), 1, answer="two labels", classes=classes)
    X = np.array([[-1.0], [1.0]])
    label, probabilities = session(model).run(["label", "probabilities"], {"X": X})
    assert label.tolist() == classes.tolist()
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-X[:, 0])), rtol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("classes", [[1, "a"], [1, True], [b"a"], [None]])
def test_other_labels_are_refused(classes):
    with pytest.raises(TypeError, match="class labels must all be text"):
        storable_labels(np.array(classes, dtype=object))


def test_onnx_is_asked_for_by_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    chain = nn.Chain([Linear(1)], "squared_error")
    with pytest.raises(ImportError, match=r'pip install "pellucid\[onnx\]"'):
        chain_to_onnx(chain, chain.initialize(1, 0), 1)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    chain = nn.Chain([Linear(1)], "squared_error")
    model = chain_to_onnx(chain, chain.initialize(1, 0), 1, metadata={"names": ["a"]})
    path = tmp_path / "n.onnx"
    write_onnx(model, path)
    read = onnx.load(path)
    assert read == model
    assert {prop.key: prop.value for prop in read.metadata_props} == {"names": '["a"]'}
    assert read.producer_name == "pellucid"
    with pytest.raises(ModelFileError, match="does not exist"):
        write_onnx(model, tmp_path / "nowhere" / "n.onnx")
    monkeypatch.setattr("pellucid.persistence.onnx.MOST_BYTES", 10)
    with pytest.raises(ValueError, match="save_as_external_data"):
        write_onnx(model, path)
    assert [file.name for file in tmp_path.iterdir()] == ["n.onnx"]
