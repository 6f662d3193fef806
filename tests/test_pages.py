"""The examples of docs/callbacks.md and docs/search.md run as they stand."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def _sections(name):
    """Return the blocks of Python under each heading; those before the first are for all."""
    parts = re.split(r"^## (.*)\n", (DOCS / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    blocks = [re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL) for part in parts[::2]]
    return blocks[0], dict(zip(parts[1::2], blocks[1:], strict=True))


def _run(blocks, capsys):
    names = {}
    for block in blocks:
        exec(compile(block, "page", "exec"), names)
    return names, capsys.readouterr().out


CALLBACKS_FIRST, CALLBACKS = _sections("callbacks.md")
SEARCH_FIRST, SEARCH = _sections("search.md")


def test_every_section_is_run_here():
    assert set(CALLBACKS) == {"Custom callbacks", "scikit-learn callbacks"}
    assert set(SEARCH) == {"Grid search", "Successive halving", "Optuna", "Search with Network"}


def test_callbacks_progress_bar_and_your_own(capsys):
    names, printed = _run([*CALLBACKS_FIRST, *CALLBACKS["Custom callbacks"]], capsys)
    assert re.search(r"^epoch +1/200  loss .* validation accuracy .* left at most$", printed, re.M)
    assert re.search(r"^\d+ True\nOutcome\.STOPPED\n\d+ True\n\Z", printed, re.M)
    assert names["model"].loss_ < 0.1 <= names["model"].loss_curve_[-2]


def test_callbacks_of_scikit_learn(capsys):
    pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has none")
    _, printed = _run([*CALLBACKS_FIRST, *CALLBACKS["scikit-learn callbacks"]], capsys)
    same, first, last = printed.splitlines()[-1].split()
    assert same == "True"
    assert float(first) < 0.9 < float(last)


def test_search_in_a_grid_equals_fits_one_by_one(capsys):
    names, _ = _run([*SEARCH_FIRST, *SEARCH["Grid search"]], capsys)
    threads = names["search"]
    alone = names["GridSearchCV"](names["model"], names["grid"], cv=3).fit(names["X"], names["y"])
    for column in ("split0_test_score", "split1_test_score", "split2_test_score"):
        assert (threads.cv_results_[column] == alone.cv_results_[column]).all()
    weights = [search.best_estimator_.coefs_[0] for search in (threads, alone)]
    assert (weights[0] == weights[1]).all()
    assert threads.best_score_ > 0.9


def test_search_by_halving(capsys):
    names, _ = _run([*SEARCH_FIRST, *SEARCH["Successive halving"]], capsys)
    assert names["halving"].best_score_ > 0.9
    assert names["halving"].n_candidates_[0] == 9


def test_search_with_optuna(capsys):
    optuna = pytest.importorskip("optuna", reason="pip install optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names, _ = _run([*SEARCH_FIRST, *SEARCH["Optuna"]], capsys)
    trials = names["study"].trials
    assert names["study"].best_value > 0.9
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}


def test_search_of_networks_layer_by_layer(capsys):
    names, _ = _run([*SEARCH_FIRST, *SEARCH["Search with Network"]], capsys)
    assert all(score["accuracy"] > 0.9 for score in names["scores"])
