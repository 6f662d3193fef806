"""scikit-learn's rules for the learning rate."""

import pytest
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

from pellucid.training import get_epoch_rate


@pytest.mark.parametrize("name", ["constant", "invscaling", "adaptive"])
def test_rates_are_those_of_scikit_learn(name):
    rule = get_epoch_rate(name, 0.5, 0.3)
    rate = rule.initial
    assert rate == 0.5
    reference = SGDOptimizer([], 0.5, lr_schedule=name, power_t=0.3)
    for epoch in range(12):
        rate = rule.after_epoch(rate, 40 * epoch)
        reference.iteration_ends(40 * epoch)
        if epoch % 2:
            lower = rule.after_plateau(rate)
            assert (lower is None) == reference.trigger_stopping("", False)
            rate = rate if lower is None else lower
        assert rate == reference.learning_rate


@pytest.mark.parametrize(
    ("name", "every_epoch", "at_plateau"),
    [("constant", False, False), ("invscaling", True, False), ("adaptive", False, True)],
)
def test_a_rule_says_when_it_changes_the_rate(name, every_epoch, at_plateau):
    rule = get_epoch_rate(name, 0.5)
    assert rule.changes_every_epoch is every_epoch is (rule.after_epoch(0.5, 100) != 0.5)
    assert rule.lowers_at_plateau is at_plateau is (rule.after_plateau(0.5) is not None)


def test_a_huge_power_ends_at_a_rate_of_zero():
    rule = get_epoch_rate("invscaling", 0.1, 1e6)
    assert rule.after_epoch(0.1, 0) == 0.1
    assert rule.after_epoch(0.1, 100) == 0.0


def test_adaptive_stops_at_a_small_rate():
    rule = get_epoch_rate("adaptive", 0.1)
    assert rule.after_plateau(1.1e-6) == pytest.approx(2.2e-7)
    assert rule.after_plateau(1e-6) is None


def test_unknown_name():
    with pytest.raises(ValueError, match=r"learning_rate must be one of.*got 'cosine'"):
        get_epoch_rate("cosine", 0.1)
