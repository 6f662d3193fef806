"""A fit that is ready to run: handed over, undone, and what it warns of."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from pellucid.models.prepared_fit import PreparedFit, undo_of, warn_of
from pellucid.training import FitResult, History, Outcome, TrainingState


def result(outcome=Outcome.CONVERGED, n_iter=3, scores=(), **fields):
    state = TrainingState(history=History(validation_scores=list(scores)))
    return FitResult(outcome, n_iter, 0.5, state, **fields)


@pytest.mark.parametrize(
    ("ended", "is_kept"),
    [
        (result(), True),
        (result(n_iter=0), True),
        (result(None, error=OSError()), True),
        (result(None, n_iter=0, error=OSError()), False),
    ],
)
def test_what_learned_something_is_taken_over_and_all_else_undone(ended, is_kept):
    told = []
    fit = PreparedFit(
        job=None,
        engine=None,
        learned="learned",
        take_over=lambda *given: told.append(given),
        undo=lambda: told.append("undone"),
    )
    fit.finish(ended)
    assert told == [("learned", ended) if is_kept else "undone"]


def test_an_estimator_is_again_what_it_was():
    class Estimator:
        pass

    model = Estimator()
    kept = []
    model.kept, model.changed, model.removed = kept, 1, 2
    undo = undo_of(model)
    model.changed, model.added = 3, 4
    del model.removed
    undo()
    assert vars(model) == {"kept": kept, "changed": 1, "removed": 2}
    assert model.kept is kept


def told(ended, warns_of_length=True):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of(ended, warns_of_length=warns_of_length)
    return [(each.category, str(each.message)) for each in caught]


@pytest.mark.parametrize(
    ("ended", "category", "text"),
    [
        (result(Outcome.INTERRUPTED), UserWarning, "Training interrupted by user."),
        (result(Outcome.DIVERGED), ConvergenceWarning, "Training diverged in iteration 3; the wei"),
        (result(Outcome.MAX_EPOCHS), ConvergenceWarning, "Stochastic Optimizer: Maximum iterat"),
        (result(complaint="not enough"), ConvergenceWarning, "not enough"),
        (result(Outcome.MAX_EPOCHS, complaint="more"), ConvergenceWarning, "more"),
        (result(scores=[np.nan, -np.inf]), UserWarning, "No validation score was a finite number"),
    ],
)
def test_what_is_warned_of(ended, category, text):
    ((found, message),) = told(ended)
    assert found is category
    assert message.startswith(text)


def test_what_is_not_warned_of():
    assert told(result()) == []
    assert told(result(Outcome.STOPPED)) == []
    assert told(result(Outcome.MAX_EPOCHS), warns_of_length=False) == []
    assert told(result(scores=[np.nan, 0.5])) == []


def test_warnings_point_at_the_line_of_the_user():
    with pytest.warns(UserWarning, match="interrupted") as caught:
        warn_of(result(Outcome.INTERRUPTED), warns_of_length=True)
    assert caught[0].filename == __file__
