"""Values of constructor parameters that work, and values that never do, to test all of them."""

import numpy as np

from pellucid.nn import (
    ACTIVATIONS,
    SCHEDULES,
    Activation,
    ClipByNorm,
    ClipByValue,
    CustomActivation,
    Loss,
    StepDecay,
)


def sine_and_cosine():
    return (np.sin, np.cos)


def log_cosh(scores, targets, weights):
    """Works for numbers, and for the codes of labels as well."""
    if targets.ndim == 1:
        targets = np.eye(scores.shape[1])[targets]
    weights = weights[:, None] / scores.size
    residual = scores - targets
    return np.sum(weights * np.log(np.cosh(residual))), weights * np.tanh(residual)


def wrong_shape(scores, targets, weights):
    return 0.0, np.zeros(3)


def wrong_gradient(scores, targets, weights):
    loss, gradient = log_cosh(scores, targets, weights)
    return loss, 2.0 * gradient


#: Values that work, alone or with some others, and values that never do.
GOOD = {
    "hidden_layer_sizes": [(), 4, (4,), (4, 4), (3, 5, 5), np.array([4, 4])],
    "activation": [
        *ACTIVATIONS,
        "relu",
        "tanh",
        Activation("elu", 0.3),
        CustomActivation(np.sin, np.cos),
        sine_and_cosine(),
        ("relu", "tanh"),
        ["silu", sine_and_cosine()],
        [],
    ],
    "solver": ["adam", "adam", "sgd", "lbfgs"],
    "alpha": [0, 1e-4, 1.0],
    "batch_size": ["auto", 1, 7, 20],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "max_iter": [1, 2, 3],
    "shuffle": [True, False],
    "random_state": [0, 2**31],
    "momentum": [0.0, 0.9],
    "early_stopping": [False, True],
    "validation_fraction": [0.1, 0.3],
    "n_iter_no_change": [1, np.inf],
    "dropout": [0.0, 0, 0.3, (0.1, 0.2), [0.5], np.array([0.0, 0.1]), ()],
    "normalization": [None, "batch", "layer", "rms"],
    "residual": [False, True],
    "weight_decay": [0.0, 0.01],
    "schedule": [None, *SCHEDULES, StepDecay()],
    "clipping": [None, 1.0, 1, ClipByNorm(0.5), ClipByValue(0.1)],
    "scoring": [None, "loss"],
    "n_threads": [None, 1, 2],
    "dtype": [None, "float32", "float64", np.float32, np.float64],
}
BAD = {
    "hidden_layer_sizes": [0, (4, 0), (2.5,), "ab", None, [[4], [4]], (True, None)],
    "activation": [
        "gelu2",
        None,
        3,
        ("relu",) * 9,
        (np.sin,),
        [None],
        (np.sin, np.sin),
        Activation,
    ],
    "alpha": [-1, "a", np.nan, None],
    "batch_size": [0, 1.5, "all"],
    "dropout": [1.0, -0.1, "a", None, (0.1,) * 7, [[0.1]], [None, 0.1], ["a", "b"], np.nan],
    "normalization": ["instance", True, 3],
    "residual": ["yes", None, 2],
    "weight_decay": [-0.1, "a", None, np.inf, np.nan],
    "schedule": ["zigzag", 3, StepDecay, np.sin],
    "clipping": [0, -1.0, "a", np.nan, ClipByNorm],
    "scoring": ["f1_of_nothing", 3],
    "n_threads": [0, -1, 1.5, "a"],
    "dtype": ["float16", np.int32, "f", 4],
    "callbacks": [3, "a", [3], [None]],
}
CLASSIFIER = {
    "loss": (["log_loss", log_cosh], ["squared_error", None, wrong_shape, wrong_gradient, Loss]),
    "label_smoothing": ([0.0, 0.1], [1.0, -0.1, "a", None, np.nan]),
    "class_weight": (
        [None, "balanced"],
        ["foo", 3, {7: 1.0}, {0: -1.0}, {0: "a"}, {"a": np.nan}, {(): 1}, [1, 2]],
    ),
}
REGRESSOR = {
    "loss": (
        ["squared_error", "absolute_error", "huber", "quantile", Loss("huber", 0.3), log_cosh],
        ["log_loss", None, 3, Loss("softmax_cross_entropy"), wrong_shape, wrong_gradient],
    ),
    "quantile": ([0.5, 0.9], [0.0, 1.0, -1, "a", None, np.nan]),
}
