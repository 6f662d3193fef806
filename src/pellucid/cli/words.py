"""Say in options what messages of the library say in Python."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

#: Options of parameters that have one of their own.
OPTIONS = {
    "hidden_layer_sizes": "--hidden",
    "learning_rate_init": "--learning-rate",
    "max_iter": "--epochs",
    "random_state": "--seed",
    "checkpoint_path": "--checkpoints",
}
#: Other parameters that messages give with a value.
_SETTINGS = (
    "alpha|batch_size|class_weight|dropout|early_stopping|label_smoothing|loss|n_iter_no_change|"
    "normalization|quantile|scoring|solver|tol|validation_fraction|weight_decay"
)


def _column(match: re.Match[str]) -> str:
    return f"--column {shlex.quote(f'{match[2]}={match[4]}')}"


def _parameter(match: re.Match[str]) -> str:
    name, value = match[1], match[2].strip("'")
    value = {"True": "true", "False": "false", "None": "null"}.get(value, value)
    if name in OPTIONS:
        return f"{OPTIONS[name]} {shlex.quote(value)}"
    return f"--set {name}={shlex.quote(value)}"


_RULES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r" \(header=(?:True|False)\)", ""),
    (r"\bheader=False\b", "--no-header"),
    (r"\bheader=True\b", "--header"),
    (r"^encoding=(?=')", "--encoding "),
    (r"^(delimiter|comment|decimal|thousands) must\b", r"--\1 must"),
    (r"""(?:set )?columns=\{(['"])(.+?)\1: (['"])(.+?)\3\}""", _column),
    (r"\bcolumns\[('[^']*')\]", r"the kind of --column \1"),
    (
        r"Set checkpoint_path of the model to its folder, go on by resume\(X, y\), and save that",
        "Go on with that training: pellucid train --resume --checkpoints FOLDER",
    ),
    (
        r"to begin another training, call fit, or name another checkpoint_path",
        "to begin another training, leave out --resume",
    ),
    (r"or begin with fit", "or leave out --resume"),
    (r"Begin again with fit", "Leave out --resume"),
    (r"begin again by fit with set_params\(max_iter=(\d+)\)", r"leave out --resume"),
    (
        r"Stochastic Optimizer: Maximum iterations \((\d+)\) reached and the optimization hasn't "
        r"converged yet\.",
        r"Training reached the maximum of \1 epochs before it stopped by itself. Raise --epochs.",
    ),
    (r"\bto_onnx needs\b", "export needs"),
    (r"\bto_onnx cannot\b", "ONNX cannot"),
    (r"\bLook at scoring and X_val\b", "Look at --validation"),
    (
        rf"(?<!--set )(?<![-\w'])({'|'.join(OPTIONS)}|{_SETTINGS})="
        r"('[^']*'|-?\d[\w.+-]*\w|\d|True|False|None)",
        _parameter,
    ),
    (r"\bX was [^;]*? and is [^;]*?(?=;|\. |$)", "the rows for training differ"),
    (r"\by was [^;]*? and is [^;]*?(?=;|\. |$)", "their targets differ"),
    (r"\bX_val was [^;]*? and is [^;]*?(?=;|\. |$)", "the rows for validation differ"),
    (r"\by_val was [^;]*? and is [^;]*?(?=;|\. |$)", "their targets differ"),
    (rf"\b({'|'.join(OPTIONS)}) (?=was )", lambda match: f"{OPTIONS[match[1]]} "),
    (r"\bcheckpoint_path\b", "--checkpoints"),
    (r"\bX_val\b", "the validation table"),
]


def in_options(message: str) -> str:
    """Return a message of the library in words of the command line.

    Examples
    --------
    >>> from pellucid.cli.words import in_options
    >>> in_options("Leave it out: columns={'last seen': 'left out'}, or set dropout=0.1.")
    "Leave it out: --column 'last seen=left out', or use --set dropout=0.1."
    """
    for pattern, words in _RULES:
        message = re.sub(pattern, words, message)
    return re.sub(r"\b[Ss]et (?=--set )", "use ", message)
