"""scikit-learn's own tests of its perceptrons, run from the installed package against ours."""

import importlib.util
from pathlib import Path
from unittest.mock import patch

import pytest
import sklearn.neural_network

from pellucid import MLPClassifier, MLPRegressor

DOES_NOT_APPLY = {
    "test_gradient": "calls the private method `_loss_grad_lbfgs` with lists of buffers; "
    "test_known_results.py checks our gradient by central differences",
}

pytestmark = pytest.mark.filterwarnings("default", "ignore::sklearn.exceptions.ConvergenceWarning")


def _installed_tests():
    """Load test_mlp.py with the names it imports pointed at our classes."""
    path = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
    spec = importlib.util.spec_from_file_location("scikit_learn_test_mlp", path)
    module = importlib.util.module_from_spec(spec)
    with (
        patch.object(sklearn.neural_network, "MLPClassifier", MLPClassifier),
        patch.object(sklearn.neural_network, "MLPRegressor", MLPRegressor),
    ):
        spec.loader.exec_module(module)
    assert module.MLPClassifier is MLPClassifier
    return {name: test for name, test in vars(module).items() if name.startswith("test_")}


_TESTS = _installed_tests()
globals().update({name: test for name, test in _TESTS.items() if name not in DOES_NOT_APPLY})


@pytest.fixture
def global_random_seed():
    return 42


def test_what_is_left_out_exists():
    assert set(DOES_NOT_APPLY) <= set(_TESTS)
    assert len(_TESTS) > 40
