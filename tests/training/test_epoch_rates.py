"""scikit-learn's learning-rate schedules."""

import pytest
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

from pellucid.training import get_schedule


@pytest.mark.parametrize("name", ["constant", "invscaling", "adaptive"])
def test_rates_are_those_of_scikit_learn(name):
    schedule, rate = get_schedule(name, 0.5, 0.3), 0.5
    reference = SGDOptimizer([], 0.5, lr_schedule=name, power_t=0.3)
    for epoch in range(12):
        rate = schedule.after_epoch(rate, 40 * epoch)
        reference.iteration_ends(40 * epoch)
        if epoch % 2:
            lower = schedule.after_plateau(rate)
            assert (lower is None) == reference.trigger_stopping("", False)
            rate = rate if lower is None else lower
        assert rate == reference.learning_rate


def test_a_huge_power_ends_at_a_rate_of_zero():
    schedule = get_schedule("invscaling", 0.1, 1e6)
    assert schedule.after_epoch(0.1, 0) == 0.1
    assert schedule.after_epoch(0.1, 100) == 0.0


def test_adaptive_stops_at_a_small_rate():
    schedule = get_schedule("adaptive", 0.1, 0.5)
    assert schedule.after_plateau(1.1e-6) == pytest.approx(2.2e-7)
    assert schedule.after_plateau(1e-6) is None


def test_unknown_name():
    with pytest.raises(ValueError, match=r"learning_rate must be one of.*got 'cosine'"):
        get_schedule("cosine", 0.1, 0.5)
