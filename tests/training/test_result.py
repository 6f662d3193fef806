"""What a training gives back."""

import pytest

from pellucid.training import FitResult, Outcome, TrainingState


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("n_iter", [0, 3])
def test_an_end_without_error_is_kept(outcome, n_iter):
    """Also one before the first epoch: the weights drawn are a usable model."""
    assert FitResult(outcome, n_iter, 0.5, TrainingState()).learned_something


@pytest.mark.parametrize(("n_iter", "kept"), [(0, False), (1, True)])
def test_an_error_is_kept_from_the_first_epoch_on(n_iter, kept):
    result = FitResult(None, n_iter, 0.5, TrainingState(), error=OSError("gone"))
    assert result.learned_something is kept
