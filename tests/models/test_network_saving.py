"""A `Network` in a file, in a pickle, and after Ctrl-C."""

import copy
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import pellucid
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
Y = {
    "softmax_cross_entropy": np.array(["no", "yes", "maybe"])[CODES],
    "logistic_cross_entropy": np.stack([CODES > 0, CODES > 1, X[:, 2] > 0], axis=1) * 1,
    "half_squared_error": X[:, :3] @ np.ones((3, 3)),
}
LAYERS = [
    Linear(8, weights="he_normal"),
    RMSNorm(),
    ParametricActivation("elu", 0.5),
    Residual([Dropout(0.2), LayerNorm(), Linear(8), Activation("silu")]),
    Linear(3),
]


@pytest.mark.parametrize("loss", Y)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_network_is_the_saved_one(tmp_path, loss, dtype):
    network = pellucid.Network(LAYERS, loss, dtype=dtype).fit(X, Y[loss], epochs=2)
    network.save(tmp_path / "n.pellucid")
    loaded = pellucid.load(tmp_path / "n.pellucid")
    np.testing.assert_array_equal(loaded.parameters.flat, network.parameters.flat)
    assert loaded.parameters.flat.dtype == network.parameters.flat.dtype == dtype
    np.testing.assert_array_equal(loaded.predict(X), network.predict(X))
    assert loaded.evaluate(X, Y[loss]) == network.evaluate(X, Y[loss])
    assert loaded.history == network.history
    assert loaded.chain == network.chain
    assert str(loaded.describe()) == str(network.describe())
    loaded.fit(X, Y[loss], epochs=1, warm_start=True)
    network.fit(X, Y[loss], epochs=1, warm_start=True)
    np.testing.assert_array_equal(loaded.parameters.flat, network.parameters.flat)


def test_two_labels_and_the_reference_engine_come_back(tmp_path):
    layers = [Linear(4), BatchNorm(), Activation("relu"), Linear(1)]
    y = np.where(CODES > 0, "yes", "no")
    network = pellucid.Network(layers, "logistic_cross_entropy", engine="reference")
    network.fit(X, y, epochs=2)
    pellucid.save(network, tmp_path / "n.pellucid")
    loaded = pellucid.load(tmp_path / "n.pellucid")
    np.testing.assert_array_equal(loaded.predict_proba(X), network.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), network.predict(X))


def test_bfloat16_comes_back(tmp_path):
    y = Y["softmax_cross_entropy"]
    network = pellucid.Network(
        LAYERS, "softmax_cross_entropy", dtype="bfloat16", engine="reference"
    ).fit(X, y, epochs=1)
    network.save(tmp_path / "n.pellucid")
    loaded = pellucid.load(tmp_path / "n.pellucid")
    assert loaded.precision == "bfloat16"
    for each in (network, loaded):
        each.fit(X, y, epochs=1, warm_start=True)
    np.testing.assert_array_equal(loaded.parameters.flat, network.parameters.flat)
    assert loaded.parameters.flat.dtype == np.float32


def test_a_layer_of_ones_own_is_named(tmp_path):
    class Doubling(Layer):
        def forward(self, parameters, x, context):
            return 2.0 * x

        def backward(self, parameters, dy, x, y, context):
            return 2.0 * dy, {}

    network = pellucid.Network([Doubling(), Linear(1)], "squared_error", engine="reference")
    network.fit(X, X[:, 0], epochs=1)
    with pytest.raises(TypeError, match="layer 0 holds a Doubling of your own"):
        network.save(tmp_path / "n.pellucid")
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
        (("dtype",), "float64"),
        (("dtype",), "object"),
        (("engine",), "os"),
        (("targets", "kind"), "own"),
        (("targets", "classes"), None),
        (("targets", "classes"), {"dtype": "str", "values": ["a", "b", "b"]}),
        (("history",), [1]),
    ],
    ids=str,
)
def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path, path, value):
    loss = "softmax_cross_entropy"
    pellucid.Network(LAYERS, loss).fit(X, Y[loss], epochs=1).save(tmp_path / "n.pellucid")
    header, arrays = read_model_file(tmp_path / "n.pellucid")
    header["state"] = _change(header["state"], path, value)
    write_model_file(tmp_path / "n.pellucid", header, arrays)
    with pytest.raises(ModelFileError, match="do not make a Network"):
        pellucid.load(tmp_path / "n.pellucid")


def test_pickles_and_copies_are_networks_of_their_own():
    loss = "softmax_cross_entropy"
    network = pellucid.Network(LAYERS, loss).fit(X, Y[loss], epochs=1, record=1)
    for other in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        np.testing.assert_array_equal(other.predict(X), network.predict(X))
        other.parameters.flat[:] = 0.0
        assert network.parameters.flat.any()
        with pytest.raises(ValueError, match="nothing to replay"):
            other.replay(1)
        other.fit(X, Y[loss], epochs=1)


def test_ctrl_c_leaves_a_usable_network():
    code = """
        import os, signal, threading, warnings
        import numpy as np
        import pellucid
        from pellucid.nn import Activation, Linear

        warnings.simplefilter("error")
        X = np.random.default_rng(0).normal(size=(4000, 20)).astype(np.float32)
        network = pellucid.Network([Linear(64), Activation("relu"), Linear(1)], "squared_error")
        network.fit(X, X[:, 0], epochs=2)
        start = network.parameters.flat.copy()

        class InterruptsSoon:
            # A schedule, so that the signal comes when training has begun, however slow that is.
            sent = False
            def factor(self, step, n_steps):
                if step > 1000 and not self.sent:
                    self.sent = True
                    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
                return 1.0

        schedule, held_out = InterruptsSoon(), {"X_val": X[:100], "y_val": X[:100, 0]}
        try:
            network.fit(X, X[:, 0], epochs=10**9, schedule=schedule, **held_out)
        except UserWarning as warning:
            print(warning)
        print(bool((network.parameters.flat != start).any()), len(network.predict(X)))
        losses = network.history["validation_loss"]
        print(network.evaluate(X[:100], X[:100, 0])["loss"] <= losses[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == [
        "Training interrupted by user.",
        "True 4000",
        "True",
    ], done.stderr
