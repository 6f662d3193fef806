"""Several fits at once give what each gives alone."""

import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from pellucid import Network, fit_together
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import EpochResult
from pellucid.nn import SGD, Activation, Adam, AdamW, Dropout, Linear, OneCycle, RMSNorm
from pellucid.training import (
    EpochLoop,
    FixedOrder,
    History,
    NoImprovement,
    Outcome,
    get_schedule,
    run_together,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 10)).astype(np.float32)
Y = RNG.integers(0, 3, size=600)
folds = np.arange(600) % 5


def network(width=16, **options):
    layers = [Linear(width), RMSNorm(), Activation("relu"), Dropout(0.2), Linear(3)]
    return Network(layers, "softmax_cross_entropy", **options)


CASES = {
    "seeds": [(16, {"seed": seed}) for seed in range(5)],
    "folds": [(16, {"rows_val": folds == k, "schedule": OneCycle()}) for k in range(5)],
    "grid": [(16, {"optimizer": optimizer(rate)}) for optimizer in (SGD, Adam, AdamW)
             for rate in (1e-1, 1e-2)],
    "architectures": [(width, {"batch_size": width + 30}) for width in (3, 16, 64, 200)],
    "lengths": [(16, {"epochs": epochs}) for epochs in (30, 1, 1, 1)],
    "patience": [(64, {"rows_val": folds == k, "patience": k + 1, "epochs": 30,
                       "optimizer": Adam(1e-2)}) for k in range(4)],
    "one": [(16, {})],
    "none": [],
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("n_threads", [1, 2, 8])
def test_networks_are_those_of_fits_one_by_one_to_the_bit(case, n_threads):
    alone = [network(width).fit(X, Y, **{"epochs": 3, **own}) for width, own in case]
    together = [network(width) for width, _ in case]
    options = [own for _, own in case]
    results = fit_together(together, X, Y, options, n_threads=n_threads, epochs=3)
    assert len(results) == len(case)
    for one, other, result in zip(alone, together, results, strict=True):
        assert result.error is None
        assert result.outcome in (Outcome.MAX_EPOCHS, Outcome.CONVERGED)
        np.testing.assert_array_equal(one.parameters.flat, other.parameters.flat)
        for name in one.history.keys() - {"seconds"}:
            assert one.history[name] == other.history[name]


def test_both_engines_can_be_mixed():
    mixed = [network(engine="reference"), network(), network(engine="reference")]
    fit_together(mixed, X, Y, epochs=2)
    for one in mixed:
        alone = network(engine=one.engine).fit(X, Y, epochs=2)
        np.testing.assert_array_equal(one.parameters.flat, alone.parameters.flat)


def test_the_error_of_one_does_not_touch_the_others():
    layers = [Linear(16), Activation("relu"), Linear(3)]
    networks = [Network(layers, "softmax_cross_entropy") for _ in range(3)]
    rates = [{"optimizer": SGD(rate)} for rate in (0.1, 1e38, 0.1)]
    with pytest.warns(UserWarning, match="the fit of network 1 failed.*non-finite"):
        results = fit_together(networks, X, Y, rates, epochs=3)
    assert [result.outcome for result in results] == [Outcome.MAX_EPOCHS, None, Outcome.MAX_EPOCHS]
    assert isinstance(results[1].error, NonFiniteError)
    alone = Network(layers, "softmax_cross_entropy").fit(X, Y, optimizer=SGD(0.1), epochs=3)
    for one in (networks[0], networks[2]):
        np.testing.assert_array_equal(one.parameters.flat, alone.parameters.flat)


def test_bad_input_changes_no_network():
    networks = [network(), network()]
    with pytest.raises(ValueError, match="epochs must be a positive integer"):
        fit_together(networks, X, Y, [{}, {"epochs": 0}])
    assert networks[0].history == {}
    with pytest.raises(ValueError, match="one entry for each of 2 networks, got 1"):
        fit_together(networks, X, Y, [{}])
    with pytest.raises(ValueError, match="same network twice"):
        fit_together([networks[0]] * 2, X, Y)


class Counts:
    """A trainer that notes with how many threads it was to run, and how many run at a time."""

    lock = threading.Lock()
    running = 0
    most = 0

    def __init__(self):
        self.n_threads = None
        self.seen = []

    def stop(self):
        pass

    def run_epochs(self, orders, learning_rate=None):
        for _ in orders:
            with self.lock:
                Counts.running += 1
                Counts.most = max(Counts.most, Counts.running)
                self.seen.append(self.n_threads)
            threading.Event().wait(0.002)
            with self.lock:
                Counts.running -= 1
            yield EpochResult(0, 1.0, 1, 1, 0.002)


def loops(n):
    return [
        EpochLoop(
            Counts(),
            FixedOrder(np.arange(1)),
            get_schedule("constant", 1.0, 0.0),
            1.0,
            NoImprovement(0.0, np.inf, -1),
            History(),
        )
        for _ in range(n)
    ]


@pytest.mark.parametrize(("n", "n_threads", "first_shares"), [(5, 2, {1}), (2, 5, {2, 3})])
def test_threads_are_shared_out_and_handed_on(n, n_threads, first_shares):
    Counts.most = 0
    running = loops(n)
    epochs = [3] * (n - 1) + [60]  # the last one is left alone in the end
    results = run_together(running, epochs, n_threads)
    assert all(result.outcome is Outcome.MAX_EPOCHS for result in results)
    assert Counts.most <= min(n, n_threads)
    seen = [loop.trainer.seen for loop in running]
    assert {shares[0] for shares in seen} == first_shares
    assert seen[-1][-1] == n_threads
    assert all(loop.before_run == [] for loop in running)


def test_the_last_one_finds_out_how_many_threads_are_of_use(monkeypatch):
    monkeypatch.setattr("pellucid.training.together.resolve_n_threads", lambda n: n or 2)
    running = loops(3)
    run_together(running, [3, 3, 60])
    assert running[0].trainer.seen[0] == 1
    assert running[-1].trainer.seen[-1] is None


def test_ctrl_c_stops_all_and_leaves_usable_networks():
    code = """
        import os, signal, threading, time, warnings
        import numpy as np
        from pellucid import Network, fit_together
        from pellucid.nn import Activation, Linear

        warnings.simplefilter("ignore")
        X = np.random.default_rng(0).normal(size=(4000, 20)).astype(np.float32)
        networks = [Network([Linear(64), Activation("relu"), Linear(1)], "squared_error")
                    for _ in range(3)]

        class InterruptsSoon:
            # A schedule, so that the signal comes when training has begun, however slow that is.
            sent = False
            def factor(self, step, n_steps):
                if step > 1000 and not self.sent:
                    self.sent = True
                    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
                return 1.0

        options = {"epochs": 10**8, "schedule": InterruptsSoon(), "n_threads": 2}
        results = fit_together(networks, X, X[:, 0], **options)
        print([result.outcome.name for result in results])
        print([len(network.predict(X)) for network in networks])
        networks[0].fit(X, X[:, 0], epochs=1, warm_start=True)
        print("went on")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == [
        "['INTERRUPTED', 'INTERRUPTED', 'INTERRUPTED']",
        "[4000, 4000, 4000]",
        "went on",
    ], done.stderr


@pytest.mark.parametrize(
    ("networks", "options", "message"),
    [
        (["relu"], None, "networks must be Network, MLPClassifier or .* got 'relu' at 0"),
        ([Network([Linear(1)], "squared_error")], [3], "options must hold mappings"),
        ([Network([Linear(1)], "squared_error")], [{"epoch": 3}], "'epoch' is no parameter of"),
    ],
)
def test_what_is_no_network_or_option_is_named(networks, options, message):
    with pytest.raises(TypeError, match=message):
        fit_together(networks, np.ones((4, 2)), np.ones(4), options)
