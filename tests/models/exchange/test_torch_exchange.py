"""State dictionaries of PyTorch: the same outputs from the same tensors, there and back."""

import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from pellucid import MLPClassifier, MLPRegressor, Network
from pellucid.nn import (
    ACTIVATIONS,
    Activation,
    BatchNorm,
    Columns,
    Dropout,
    Embedding,
    InputScale,
    LayerNorm,
    Linear,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Residual,
    RMSNorm,
)

torch = pytest.importorskip("torch", reason="PyTorch is the peer here: pip install torch==2.13.0")
M = torch.nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
MODULES = {
    "identity": M.Identity(),
    "logistic": M.Sigmoid(),
    "tanh": M.Tanh(),
    "relu": M.ReLU(),
    "leaky_relu": M.LeakyReLU(0.01),
    "elu": M.ELU(),
    "selu": M.SELU(),
    "softplus": M.Softplus(threshold=1000),  # beyond 20 PyTorch's default drops e^-20
    "gelu": M.GELU(),
    "silu": M.SiLU(),
    "mish": M.Mish(),
}
CHAINS = {
    **{name: ([Activation(name)], [module]) for name, module in MODULES.items()},
    "leaky_relu, 0.3": ([Activation("leaky_relu", 0.3)], [M.LeakyReLU(0.3)]),
    "linear": ([Linear(3)], [M.Linear(4, 3)]),
    "linear, no bias": ([Linear(3, bias=False)], [M.Linear(4, 3, bias=False)]),
    "linear, ntk": ([Linear(3, parametrization="ntk")], [M.Linear(4, 3)]),
    "dropout": ([Dropout(0.3), Linear(2)], [M.Dropout(0.3), M.Linear(4, 2)]),
    "batch_norm": ([BatchNorm()], [M.BatchNorm1d(4)]),
    "layer_norm": ([LayerNorm()], [M.LayerNorm(4)]),
    "layer_norm, no bias": ([LayerNorm(bias=False)], [M.LayerNorm(4, bias=False)]),
    "rms_norm": ([RMSNorm()], [M.RMSNorm(4, eps=1e-6)]),
    "rms_norm, no scale": (
        [RMSNorm(scale=False), Linear(2)],
        [M.RMSNorm(4, eps=1e-6, elementwise_affine=False), M.Linear(4, 2)],
    ),
    "embedding": (
        [Embedding(9, 3), LayerNorm(), Linear(2)],
        [M.Embedding(9, 3), M.Flatten(), M.LayerNorm(12), M.Linear(12, 2)],
    ),
    "a deep one": (
        [Linear(6), BatchNorm(), Activation("silu"), Dropout(0.1), Linear(5), Linear(2)],
        [
            M.Linear(4, 6),
            M.BatchNorm1d(6),
            M.SiLU(),
            M.Dropout(0.1),
            M.Linear(6, 5),
            M.Linear(5, 2),
        ],
    ),
}
RTOL = {"float32": 1e-5, "float64": 1e-12}


def sequential(modules, dtype):
    """Return the modules with random parameters, moments included, ready to predict."""
    module = M.Sequential(*modules).to(getattr(torch, dtype)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.2, 1.5, generator=generator)
    return module


def rows_for(name, dtype):
    if name == "embedding":
        return RNG.integers(0, 9, X.shape)
    return X.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CHAINS)
def test_every_layer_of_torch(name, dtype):
    layers, modules = CHAINS[name]
    module = sequential(modules, dtype)
    fan_in = None if module.state_dict() else 4
    network = Network.from_torch(module.state_dict(), layers, "squared_error", fan_in=fan_in)
    assert network.dtype == (dtype if module.state_dict() else "float32")
    assert network.parameters_.flat.dtype == network.dtype
    rows = rows_for(name, dtype)
    if not module.state_dict():
        network = Network(layers, "squared_error", dtype=dtype).initialize(4)
    with torch.no_grad():
        expected = module(torch.from_numpy(rows)).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(network.scores(rows), expected, rtol=0, atol=RTOL[dtype] * scale)
    # And back: the names, the order and the tensors that PyTorch itself has.
    back = network.to_torch()
    theirs = module.state_dict()
    assert list(back) == list(theirs)
    for tensor, other in zip(back.values(), theirs.values(), strict=True):
        assert tensor.dtype == other.dtype
        assert tensor.shape == other.shape
    with torch.no_grad():
        for tensor in theirs.values():
            tensor.zero_()
        module.load_state_dict(back)
        again = module(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(again, expected, rtol=0, atol=RTOL[dtype] * scale)


def test_all_activations_are_here():
    assert set(MODULES) == set(ACTIVATIONS) - {"step"}


def test_the_tensors_are_copies():
    network = Network([Linear(2)], "squared_error").initialize(3)
    state = network.to_torch()
    other = Network.from_torch(state, [Linear(2)], "squared_error")
    state["0.weight"].zero_()
    assert network.parameters_["0.W"].any()
    assert other.parameters_["0.W"].any()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_becomes_float32(kind):
    module = M.Linear(4, 1).to(kind)
    network = Network.from_torch(
        {f"0.{name}": tensor for name, tensor in module.state_dict().items()},
        [Linear(1)],
        "squared_error",
    )
    assert network.parameters_.flat.dtype == np.float32
    np.testing.assert_array_equal(network.parameters_["0.W"].T, module.weight.float().detach())
    wide = Network.from_torch(network.to_torch(), [Linear(1)], "squared_error", dtype="float64")
    assert wide.parameters_.flat.dtype == np.float64


ODD = {
    "step": Activation("step"),
    "a blend": Activation("tanh", blend=0.5),
    "dropout at prediction": Dropout(0.5, "prediction"),
    "parametric": ParametricActivation("relu"),
    "scale": InputScale(),
    "periodic": PeriodicEmbedding(),
    "piecewise linear": PiecewiseLinearEmbedding([(0.0, 1.0)] * 4),
    "columns": Columns([(4, Linear(2))]),
    "residual": Residual([Linear(4)]),
}


@pytest.mark.parametrize("name", ODD)
def test_what_torch_lacks_is_named(name):
    network = Network([ODD[name]], "squared_error").initialize(4)
    with pytest.raises(TypeError, match=r"torch\.nn has no module for layer [01], "):
        network.to_torch()
    with pytest.raises(TypeError, match=r"torch\.nn has no module"):
        Network.from_torch({}, [ODD[name]], "squared_error", fan_in=4)


LAYERS = [Linear(3), Activation("relu"), Linear(1)]
STATE = {
    "0.weight": np.ones((3, 4)),
    "0.bias": np.ones(3),
    "2.weight": np.ones((1, 3)),
    "2.bias": np.ones(1),
}


def without(name):
    return {key: value for key, value in STATE.items() if key != name}


@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        (without("2.bias"), ValueError, "2.bias missing, none left over"),
        ({**STATE, "4.weight": np.ones((1, 1))}, ValueError, "none missing, 4.weight left over"),
        ({**STATE, "2.weight": np.ones((1, 5))}, ValueError, r"2.weight must have shape \(1, 3\)"),
        ({**STATE, "0.weight": np.ones((2, 4))}, ValueError, r"0.weight must have shape \(3, 4\)"),
        ({**STATE, "0.weight": np.ones(4)}, ValueError, "does not tell the number of columns"),
        ({f"net.{k}": v for k, v in STATE.items()}, ValueError, "0.weight"),
        ({**STATE, "0.bias": np.ones(3, dtype=int)}, TypeError, "0.bias must be a tensor of fl"),
        ({}, ValueError, "does not tell the number of columns of X; pass fan_in"),
        (M.Linear(4, 1), TypeError, r"pass module.state_dict\(\)"),
        (None, TypeError, "takes a state dictionary, got NoneType"),
        ({0: np.ones(3)}, TypeError, "takes a state dictionary, got dict"),
    ],
)
def test_a_wrong_dictionary_is_refused(state, error, match):
    with pytest.raises(error, match=match):
        Network.from_torch(state, LAYERS, "squared_error")


def test_a_common_prefix_is_pointed_out():
    state = {f"net.{name}": value for name, value in STATE.items()}
    with pytest.raises(ValueError, match=r"cut off 'net\.'"):
        MLPRegressor.from_torch(state)
    with pytest.raises(ValueError, match=r"cut off 'net\.'"):
        Network.from_torch(state, LAYERS, "squared_error", fan_in=4)


def test_a_network_from_torch_knows_its_labels():
    layers, state = [Linear(3)], M.Sequential(M.Linear(4, 3)).state_dict()
    network = Network.from_torch(state, layers, "softmax_cross_entropy", classes=["a", "b", "c"])
    assert set(network.predict(X)) <= {"a", "b", "c"}
    np.testing.assert_allclose(network.predict_proba(X).sum(axis=1), 1.0, rtol=1e-6)
    network = Network.from_torch(state, layers, "softmax_cross_entropy")
    assert network.classes_.tolist() == [0, 1, 2]
    before = network.parameters_.flat.copy()
    network.set_params(max_iter=1, warm_start=True, learning_rate_init=1e-6)
    network.fit(X, RNG.integers(0, 3, len(X)))
    np.testing.assert_allclose(network.parameters_.flat, before, rtol=0, atol=1e-5)
    network = Network.from_torch(state, layers, "logistic_cross_entropy")
    assert network.predict(X).shape == (len(X), 3)
    with pytest.raises(ValueError, match="classes must hold 3 labels"):
        Network.from_torch(state, layers, "softmax_cross_entropy", classes=["a", "b"])
    with pytest.raises(ValueError, match="classes must be sorted"):
        Network.from_torch(state, layers, "softmax_cross_entropy", classes=["b", "a", "c"])
    with pytest.raises(ValueError, match="classes are for a cross-entropy"):
        Network.from_torch(state, layers, "squared_error", classes=[0, 1, 2])


def test_options_of_a_network_are_constructor_parameters():
    state = M.Sequential(M.Linear(4, 3)).state_dict()
    options = {"max_iter": 7, "scoring": "accuracy", "class_weight": "balanced", "alpha": 0.1}
    network = Network.from_torch(state, [Linear(3)], "softmax_cross_entropy", **options)
    assert {name: network.get_params()[name] for name in options} == options
    with pytest.raises(TypeError, match="seed"):
        Network.from_torch(state, [Linear(3)], "softmax_cross_entropy", seed=3)
    with pytest.raises(ValueError, match="'max_iter' parameter of Network"):
        Network.from_torch(state, [Linear(3)], "softmax_cross_entropy", max_iter=0)


def mlp_modules(n_outputs):
    return [
        M.Linear(4, 7),
        M.LayerNorm(7),
        M.GELU(),
        M.Dropout(0.1),
        M.Linear(7, 5),
        M.LayerNorm(5),
        M.GELU(),
        M.Dropout(0.1),
        M.Linear(5, n_outputs),
    ]


OF_MODULES = {"activation": "gelu", "normalization": "layer", "dropout": 0.1}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mlp_regressor(dtype):
    module = sequential(mlp_modules(2), dtype)
    model = MLPRegressor.from_torch(module.state_dict(), **OF_MODULES)
    assert model.hidden_layer_sizes == (7, 5)
    with torch.no_grad():
        expected = module(torch.from_numpy(X.astype(dtype))).numpy()
    np.testing.assert_allclose(model.predict(X.astype(dtype)), expected, rtol=RTOL[dtype])
    for name, tensor in model.to_torch().items():
        np.testing.assert_array_equal(tensor, module.state_dict()[name])
    model.partial_fit(X, X[:, :2])
    changed = sequential(mlp_modules(2), dtype)
    changed.load_state_dict(model.to_torch())
    with torch.no_grad():
        expected = changed.eval()(torch.from_numpy(X.astype(dtype))).numpy()
    np.testing.assert_allclose(model.predict(X.astype(dtype)), expected, rtol=100 * RTOL[dtype])


def test_mlp_classifier():
    module = sequential(mlp_modules(3), "float64")
    classes = ["a", "b", "c"]
    model = MLPClassifier.from_torch(module.state_dict(), classes=classes, **OF_MODULES)
    with torch.no_grad():
        scores = module(torch.from_numpy(X))
    expected = torch.softmax(scores, dim=1).numpy()
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), np.array(classes)[expected.argmax(axis=1)])
    model.partial_fit(X, np.array(classes)[RNG.integers(0, 3, len(X))])
    model = MLPClassifier.from_torch(module.state_dict(), multilabel=True, **OF_MODULES)
    np.testing.assert_allclose(model.predict_proba(X), torch.sigmoid(scores), rtol=1e-12)
    model.partial_fit(X, RNG.integers(0, 2, (len(X), 3)))
    module = sequential([M.Linear(4, 1)], "float64")
    model = MLPClassifier.from_torch(module.state_dict(), classes=[False, True])
    assert model.hidden_layer_sizes == ()
    with torch.no_grad():
        expected = torch.sigmoid(module(torch.from_numpy(X))).numpy()
    np.testing.assert_allclose(model.predict_proba(X)[:, 1:], expected, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), expected[:, 0] > 0.5)
    assert MLPClassifier.from_torch(module.state_dict(), dtype="float32").coefs_[0].dtype == "f4"


@pytest.mark.parametrize(
    ("n_outputs", "options", "match"),
    [
        (2, {}, "2 scores, and MLPClassifier tells two classes by 1"),
        (1, {"multilabel": True}, "multilabel=True has 2 scores or more"),
        (3, {"classes": ["a", "b"]}, "classes must hold 3 labels"),
        (3, {"hidden_layer_sizes": (7,)}, "left over"),
        (3, {"normalization": None}, "left over"),
        (3, {"hidden_layer_sizes": (7, 6)}, "must have shape"),
    ],
)
def test_what_does_not_fit_a_classifier_is_refused(n_outputs, options, match):
    state = sequential(mlp_modules(n_outputs), "float32").state_dict()
    with pytest.raises(ValueError, match=match):
        MLPClassifier.from_torch(state, **{**OF_MODULES, **options})


def test_other_wrong_calls_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="MLPRegressor predicts numbers: leave out classes"):
        MLPRegressor.from_torch(STATE, classes=[0, 1])
    with pytest.raises(ValueError, match="holds no weight of a Linear"):
        MLPRegressor.from_torch({"0.bias": np.ones(3)})
    with pytest.raises(NotFittedError):
        MLPRegressor().to_torch()
    with pytest.raises(NotFittedError):
        Network([Linear(1)], "squared_error").to_torch()
    model = MLPRegressor(hidden_layer_sizes=(4, 4), residual=True).partial_fit(X, X[:, 0])
    with pytest.raises(TypeError, match=r"torch\.nn has no module for layer"):
        model.to_torch()
    model = MLPRegressor.from_torch(STATE)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'pip install "pellucid\[torch\]"'):
        model.to_torch()
