"""`--set`, `--column` and `--hidden`."""

import pytest

from pellucid import TabularClassifier, TabularRegressor, load

TRAIN = ("train", "train.csv", "--target", "kind", "--test-table", "test.csv", "--out")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "foo=1"], 2, "no parameter 'foo'"),
        (["--set", "dropout"], 2, "NAME=VALUE"),
        (["--set", "dropout=0.1", "--set", "dropout=0.2"], 2, "set twice"),
        (["--set", "columns=3"], 2, "--column"),
        (["--set", "callbacks=3"], 2, "callbacks cannot be set"),
        (["--set", "hidden_layer_sizes=[4]"], 2, "is set with --hidden"),
        (["--set", "learning_rate_init=0.1"], 2, "is set with --learning-rate"),
        (["--set", "max_iter=3"], 2, "is set with --epochs"),
        (["--delimiter", "ab"], 2, "--delimiter must be one character"),
        (["--encoding", "klingon"], 2, "--encoding 'klingon' is unknown"),
        (["--comment", ""], 2, "--comment must not be empty"),
        (["--thousands", "12"], 2, "--thousands must be one character"),
        (["--decimal", ",", "--thousands", ","], 2, "--decimal and --thousands must differ"),
        (["--set", "quantile=0.9"], 1, "quantile is no parameter of TabularClassifier"),
        (["--set", "dropout=2"], 1, "dropout"),
        (["--set", "dropout=NaN"], 1, "dropout"),
        (["--hidden", "4", "--set", "activation=[[1]]"], 1, "activation must be"),
        (["--set", "validation_fraction=null"], 1, "validation_fraction must be between 0 and 1"),
        (["--validation", "none.csv"], 1, "none.csv"),
        (["--validation", "wrong.csv"], 1, "kind"),
        (["--resume"], 2, "--checkpoints"),
        (["--resume", "--checkpoints", "empty"], 1, "checkpoint"),
    ],
)
def test_what_is_wrong_is_named(run, parts, arguments, code, words, tmp_path):
    (tmp_path / "empty").mkdir()
    parts.drop(columns="kind").to_csv("wrong.csv", index=False)
    done = run(*TRAIN, "m.pellucid", *arguments, code=code)
    assert words in done.output
    assert not (tmp_path / "m.pellucid").exists()


def test_parameters_of_one_task_alone(run, parts):
    few = ("--epochs", 2, "--hidden", "4")
    run(
        *TRAIN, "c.pellucid", *few, "--set", "label_smoothing=0.1", "--set", "class_weight=balanced"
    )
    model = load("c.pellucid")
    assert isinstance(model, TabularClassifier)
    assert (model.label_smoothing, model.class_weight) == (0.1, "balanced")
    size = ("train", "train.csv", "--target", "size", "--out", "r.pellucid", *few)
    run(*size, "--set", "loss=quantile", "--set", "quantile=0.9")
    model = load("r.pellucid")
    assert isinstance(model, TabularRegressor)
    assert (model.loss, model.quantile) == ("quantile", 0.9)
    done = run(*size, "--set", "label_smoothing=0.1", code=1)
    assert "label_smoothing is no parameter of TabularRegressor" in done.output
    assert "regression" in done.output
