"""Estimators to model files; what saving and loading need of an estimator."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from pellucid import nn
from pellucid.models.targets import Targets, targets_from_state
from pellucid.persistence import write_model_file
from pellucid.persistence.layers import is_layer, part_from_json, part_to_json
from pellucid.version import __version__

Arrays = dict[str, npt.NDArray[Any]]


class SaveableEstimator(Protocol):
    """What an estimator offers so that it can be saved.

    One of scikit-learn's kind also has constructor parameters, `get_params` and `set_params`, which
    are saved beside the state; any other one puts them into the state.
    """

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        """Return everything that fit learned: what JSON can hold, and arrays by name."""

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        """Build a fitted estimator from what `_to_state` returned."""


Estimator = TypeVar("Estimator", bound=type)

LABEL_DTYPES = ("bool", "float16", "float32", "float64", "object", "str") + tuple(
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
)
"""What class labels in a file may be. NumPy is asked for no other: it would parse the name."""

MOST_LABEL_TEXT = 2**21
"""Most characters of all class labels, each counted as long as the longest, as NumPy keeps them."""

PLAIN: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        nn.Activation,
        nn.ClipByGlobalNorm,
        nn.ClipByNorm,
        nn.ClipByValue,
        nn.Loss,
        nn.SGD,
        nn.Adagrad,
        nn.Adam,
        nn.AdamW,
        nn.RMSProp,
        *{type(schedule) for schedule in nn.SCHEDULES.values()},
    )
}
"""What constructor parameters may hold beside numbers and text: objects of nothing else."""

NOT_SAVED = ("callbacks", "checkpoint_path")
"""Parameters that say what happens beside training, or name places: no part of the model."""

SAVEABLE: dict[str, Any] = {}
"""Estimators by the name they have in model files."""


def saveable(estimator: Estimator) -> Estimator:
    """Class decorator: enter an estimator among those that `pellucid.load` knows."""
    SAVEABLE[estimator.__name__] = estimator
    return estimator


def is_saveable(estimator: Any) -> bool:
    """Return whether an estimator is one of those that `pellucid.load` knows, and no subclass."""
    kind: type = type(estimator)
    return SAVEABLE.get(kind.__name__) is kind


def save(estimator: SaveableEstimator, path: str | Path) -> None:
    """Write a fitted estimator to one `.pellucid` file.

    An attribute `training_facts_`, a dict of what JSON can hold, is kept with it: what the command
    line knows of the training. Another training removes it.

    What `pellucid.load` returns predicts the same to the bit, in any process and on any machine
    with the same instruction set.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, Network or another estimator of Pellucid
        Fitted. `callbacks` and `checkpoint_path` are left out, and a random_state that is a
        generator object cannot be kept: they become None.
    path : str or Path
        Replaced atomically if it exists.

    Raises
    ------
    sklearn.exceptions.NotFittedError
    TypeError
        When the estimator, or one of its parameters, cannot be saved. Of a `Pipeline` save the
        estimator inside: `pellucid.save(pipeline[-1], path)`.
    ModelFileError
        When the file cannot be written; an earlier file stays as it was.
    """
    from sklearn.utils.validation import check_is_fitted

    name = type(estimator).__name__
    if not is_saveable(estimator):
        raise TypeError(_why_not(estimator))
    if isinstance(estimator, BaseEstimator):
        check_is_fitted(estimator)
    state, arrays = estimator._to_state()
    params: dict[str, Any] = {}
    if isinstance(estimator, BaseEstimator):
        params = params_to_json(estimator.get_params(deep=False))
    header = {
        "pellucid_version": __version__,
        "estimator": name,
        "params": params,
        "state": state,
    }
    if names := getattr(estimator, "target_names_", None):
        header["target_names"] = list(names)
    if facts := getattr(estimator, "training_facts_", None):
        header["training_facts"] = facts
    write_model_file(path, header, arrays)


def _why_not(estimator: Any) -> str:
    """Say why an estimator cannot be saved, and what can be done."""
    from sklearn.pipeline import Pipeline

    name = type(estimator).__name__
    if isinstance(estimator, Pipeline):
        return (
            f"a {name} cannot be saved: a model file holds one estimator of pellucid, and no steps "
            "before it. Save the estimator inside, pellucid.save(pipeline[-1], path); or put "
            "TabularClassifier or TabularRegressor, which encode and scale columns themselves, in "
            "place of the whole; or keep the pipeline with pickle or skops."
        )
    return f"{name} cannot be saved; these can: {', '.join(sorted(SAVEABLE))}."


def restore(
    estimator_class: Any, params: dict[str, Any], state: dict[str, Any], arrays: Arrays
) -> Any:
    """Build a fitted estimator from its parameters, state and arrays."""
    estimator = estimator_class._from_state(state, arrays)
    if isinstance(estimator, BaseEstimator):
        estimator.set_params(**params_from_json(params))
    if hasattr(estimator, "_parameter_constraints"):
        estimator._validate_params()
    return estimator


def members_to_state(members: Sequence[Any]) -> tuple[dict[str, Any], Arrays]:
    """Take the fitted members of an ensemble apart; the arrays of member 2 are named "2/…"."""
    parts, arrays = [], Arrays()
    for i, member in enumerate(members):
        if not is_saveable(member):
            raise TypeError(f"a member is a {type(member).__name__}, which cannot be saved")
        state, own = member._to_state()
        params = member.get_params(deep=False)
        if callable(params["scoring"]):
            params["scoring"] = None  # As in the ensemble's own parameter, which is warned of.
        kind = type(member).__name__
        parts.append({"estimator": kind, "params": params_to_json(params), "state": state})
        arrays.update({f"{i}/{name}": array for name, array in own.items()})
    return {"members": parts}, arrays


def members_from_state(default: str, state: dict[str, Any], arrays: Arrays) -> list[Any]:
    """Undo :func:`members_to_state`; `default` is the class of members of files of before."""
    if not state["members"]:
        raise ValueError("an ensemble has members")
    own: list[Arrays] = [{} for _ in state["members"]]
    for name, array in arrays.items():
        i, _, name = name.partition("/")
        own[int(i)][name] = array
    return [
        restore(
            SAVEABLE[part.get("estimator", default)], part["params"], part["state"], part_arrays
        )
        for part, part_arrays in zip(state["members"], own, strict=True)
    ]


def params_to_json(params: Mapping[str, Any]) -> dict[str, Any]:
    """Write constructor parameters so that JSON can hold them and tuples come back as tuples.

    Examples
    --------
    >>> from pellucid.models.saving import params_from_json, params_to_json
    >>> params_to_json({"hidden_layer_sizes": (64, 32), "alpha": 1e-4})
    {'hidden_layer_sizes': {'tuple': [64, 32]}, 'alpha': 0.0001}
    >>> params_from_json({"hidden_layer_sizes": {"tuple": [64, 32]}})
    {'hidden_layer_sizes': (64, 32)}
    """
    return {
        name: _to_json(name, _without_code(name, value))
        for name, value in params.items()
        if name not in NOT_SAVED
    }


def _without_code(name: str, value: Any) -> Any:
    """Return None, with a warning, for a parameter that is code and for training alone."""
    if name != "scoring" or value is None or isinstance(value, str):
        return value
    return _left_out(name, "code")


def _left_out(name: str, what: str) -> None:
    warnings.warn(
        f"{name} is {what}, which a model file cannot hold: it is saved as None.", stacklevel=3
    )


def params_from_json(params: Mapping[str, Any]) -> dict[str, Any]:
    """Undo :func:`params_to_json`."""
    return {name: _from_json(v) for name, v in params.items() if name not in NOT_SAVED}


def _to_json(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value if not isinstance(value, np.generic) else value.item()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return {"tuple": [_to_json(name, item) for item in value]}
    if isinstance(value, list):
        return [_to_json(name, item) for item in value]
    if isinstance(value, np.ndarray):
        return [_to_json(name, item) for item in value.tolist()]
    if isinstance(value, Mapping):
        items = [[_to_json(name, part) for part in item] for item in value.items()]
        return {"mapping": items}
    if isinstance(value, type) and issubclass(value, np.generic):
        return np.dtype(value).name
    if type(value).__name__ in PLAIN and PLAIN[type(value).__name__] is type(value):
        return {"nn": [type(value).__name__, _to_json(name, vars(value))]}
    if isinstance(value, nn.Residual):
        return {"residual": [_to_json(name, layer) for layer in value.layers]}
    if is_layer(value):
        return {"layer": part_to_json(value, f"the parameter {name}")}
    if isinstance(value, BaseEstimator) and is_saveable(value):
        return {"estimator": [type(value).__name__, params_to_json(value.get_params(deep=False))]}
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return _left_out(name, "a generator object")
    raise TypeError(
        f"The parameter {name} is {value!r}, which a model file cannot hold: it takes numbers, "
        "text, lists and dicts of them."
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"tuple"}:
            return tuple(_from_json(item) for item in value["tuple"])
        if set(value) == {"nn"}:
            kind, fields = value["nn"]
            return PLAIN[kind](**_from_json(fields))
        if set(value) == {"residual"}:
            return nn.Residual([_from_json(item) for item in value["residual"]])
        if set(value) == {"layer"}:
            layer = part_from_json(value["layer"])
            if not is_layer(layer):
                raise ValueError(f"{layer!r:.80} is no layer")
            return layer
        if set(value) == {"estimator"}:
            name, params = value["estimator"]
            return SAVEABLE[name](**params_from_json(params))
        return {_from_json(key): _from_json(item) for key, item in value["mapping"]}
    return value


def targets_to_json(targets: Targets) -> dict[str, Any]:
    """Return what y means as JSON can hold it."""
    state = targets.state()
    if "labels" in state:
        state["labels"] = labels_to_state(state["labels"])
    return {name: list(v) if isinstance(v, tuple) else v for name, v in state.items()}


def targets_from_json(state: Mapping[str, Any]) -> Targets:
    """Undo `targets_to_json`.

    Raises
    ------
    ValueError, TypeError, KeyError
        It does not say what y means.
    """
    known = dict(state)
    if "labels" in known:
        known["labels"] = labels_from_state(known["labels"])
    for name in ("is_vector", "is_sparse", "at_least_zero"):
        if name in known and type(known[name]) is not bool:
            raise ValueError(f"{name} must be true or false, got {known[name]!r:.80}")
    for name in ("mean", "scale"):
        if name in known:
            known[name] = tuple(float(number) for number in known[name])
    return targets_from_state(known)


def count_from_json(value: Any, most: int = 2**53) -> int:
    """Return a whole number from 0 to `most`.

    Raises
    ------
    ValueError
        It is none.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"a number of epochs, rows or calls cannot be {value!r:.80}")
    return value


def parameters_from_arrays(
    chain: nn.Chain, fan_in: int, arrays: Arrays, dtype: npt.DTypeLike = np.float64
) -> nn.Parameters:
    """Return the parameters of a chain, from an array for each by name; of `dtype` if none has any.

    Raises
    ------
    ValueError
        Names, shapes or dtypes do not fit.
    """
    layout = chain.layout(fan_in)
    if {e.name: e.shape for e in layout.entries} != {n: a.shape for n, a in arrays.items()}:
        raise ValueError("the arrays do not fit the layers")
    dtypes = {array.dtype for array in arrays.values()} or {np.dtype(dtype)}
    if len(dtypes) != 1:
        raise ValueError("the arrays must all be of one dtype")
    parameters = nn.Parameters.zeros(layout, *dtypes)
    for name, array in arrays.items():
        parameters[name][...] = array
    return parameters


def labels_to_state(labels: npt.NDArray[Any]) -> dict[str, Any]:
    """Class labels of any dtype as JSON can hold them: bool, numbers, text, or objects of these.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.models.saving import labels_from_state, labels_to_state
    >>> state = labels_to_state(np.array(["cat", "dog"]))
    >>> labels_from_state(state)
    array(['cat', 'dog'], dtype='<U3')
    """
    state = {"dtype": _dtype_name(labels), "values": labels.tolist()}
    try:
        labels_from_state(state)
    except ValueError as error:
        raise TypeError(f"{error}; a model file cannot hold them.") from error
    return state


def labels_from_state(state: dict[str, Any]) -> npt.NDArray[Any]:
    """Undo :func:`labels_to_state`.

    Raises
    ------
    ValueError
        Not what `labels_to_state` returns: other types of labels, or too much text.
    """
    values, name = state["values"], state["dtype"]
    if not isinstance(values, list) or not all(
        isinstance(v, bool | int | float | str) for v in values
    ):
        raise ValueError(f"class labels must be text, numbers or booleans, got {values!r:.200}")
    if name not in LABEL_DTYPES:
        raise ValueError(f"class labels cannot have the dtype {name!r:.80}")
    if any(isinstance(v, float) and not math.isfinite(v) for v in values):
        raise ValueError(f"class labels must be finite, got {values!r:.200}")
    longest = max((len(v) for v in values if isinstance(v, str)), default=0)
    if longest * len(values) > MOST_LABEL_TEXT:
        raise ValueError(f"{len(values)} class labels are too long, up to {longest} characters")
    labels = np.array(values, dtype=name)
    if labels.tolist() != values:
        raise ValueError(f"class labels are not of the dtype {name}: {values!r:.200}")
    return labels


def _dtype_name(labels: npt.NDArray[Any]) -> str:
    return "str" if labels.dtype.kind == "U" else labels.dtype.name
