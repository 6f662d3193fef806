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


#: Quoted text, but no apostrophe within a word; and what stands for it while rules are applied.
_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?!\w)""")
_MARK = "\x00"
_HELD = rf"{_MARK}\d+{_MARK}"
#: Before and after a word that is no part of the name of a file.
_ALONE = r"(?<![\w./\\-])", r"(?![\w/\\-]|\.\w)"


_IN_JSON = {"True": "true", "False": "false", "None": "null"}

_RULES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r" \(header=(?:True|False)\)", ""),
    (r"\bheader=False\b", "--no-header"),
    (r"\bheader=True\b", "--header"),
    (rf"^encoding=(?={_MARK})", "--encoding "),
    (r"^decimal and thousands must\b", "--decimal and --thousands must"),
    (r"^(delimiter|comment|decimal|thousands) must\b", r"--\1 must"),
    (rf"\bcolumns\[({_HELD})\]", r"the kind of --column \1"),
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
    (r"\bX was [^;]*? and is [^;]*?(?=;|\. |$)", "the rows for training differ"),
    (r"\by was [^;]*? and is [^;]*?(?=;|\. |$)", "their targets differ"),
    (r"\bX_val was [^;]*? and is [^;]*?(?=;|\. |$)", "the rows for validation differ"),
    (r"\by_val was [^;]*? and is [^;]*?(?=;|\. |$)", "their targets differ"),
    (rf"\b({'|'.join(OPTIONS)}) (?=was )", lambda match: f"{OPTIONS[match[1]]} "),
]
#: Applied after `_PARAMETER`.
_LAST_RULES: list[tuple[str, str]] = [
    (rf"{_ALONE[0]}checkpoint_path{_ALONE[1]}", "--checkpoints"),
    (rf"{_ALONE[0]}X_val{_ALONE[1]}", "the validation table"),
]
_COLUMN = re.compile(rf"(?:set )?columns=\{{({_HELD}): ({_HELD})\}}")
_PARAMETER = re.compile(
    rf"(?<!--set )(?<![-\w])({'|'.join(OPTIONS)}|{_SETTINGS})="
    rf"({_HELD}|-?\d[\w.+-]*\w|\d|True|False|None)"
)


def in_options(message: str) -> str:
    """Return a message of the library in words of the command line.

    What stands in quotes is the user's, such as the name of a column, and stays as it is.

    Examples
    --------
    >>> from pellucid.cli.words import in_options
    >>> in_options("Leave it out: columns={'last seen': 'left out'}, or set dropout=0.1.")
    "Leave it out: --column 'last seen=left out', or use --set dropout=0.1."
    """
    held: list[str] = []

    def hold(text: str) -> str:
        held.append(text)
        return f"{_MARK}{len(held) - 1}{_MARK}"

    def content(part: str) -> str:
        return held[int(part.strip(_MARK))][1:-1] if part.startswith(_MARK) else part

    def column(match: re.Match[str]) -> str:
        return "--column " + hold(shlex.quote(f"{content(match[1])}={content(match[2])}"))

    def parameter(match: re.Match[str]) -> str:
        value = content(match[2])
        value = hold(shlex.quote(_IN_JSON.get(value, value)))
        return (
            f"{OPTIONS[match[1]]} {value}" if match[1] in OPTIONS else f"--set {match[1]}={value}"
        )

    message = _QUOTED.sub(lambda match: hold(match[0]), message.replace(_MARK, ""))
    message = _COLUMN.sub(column, message)
    for pattern, words in _RULES:
        message = re.sub(pattern, words, message)
    message = _PARAMETER.sub(parameter, message)
    for pattern, words in _LAST_RULES:
        message = re.sub(pattern, words, message)
    message = re.sub(r"\b[Ss]et (?=--set )", "use ", message)
    return re.sub(_HELD, lambda match: held[int(match[0].strip(_MARK))], message)
