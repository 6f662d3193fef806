"""What the native engine promises beyond agreeing with the reference."""

import concurrent.futures
import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import scipy.sparse
from peak_memory import peak_raised_by

from pellucid.engine import native, reference
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.instruction_set import core
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import SGD, Activation, Adam, Chain, Linear, OneCycle

NETWORK = Chain([Linear(20), Activation("relu"), Linear(3)], "softmax_cross_entropy")


def make_data(n=500, fan_in=6, seed=0):
    rng = np.random.default_rng(seed)
    return TrainingData(rng.standard_normal((n, fan_in)), rng.integers(0, 3, n))


def make_trainer(data=None, **plan):
    data = data or make_data()
    parameters = NETWORK.initialize(data.X.shape[1], seed=1)
    plan = TrainingPlan(**{"optimizer": Adam(0.01), "batch_size": 50, **plan})
    return native.NativeTrainer(NETWORK, parameters, data, plan)


@pytest.mark.arithmetic
def test_a_new_trainer_goes_on_from_a_state_to_the_bit():
    whole = make_trainer()
    for _ in range(4):
        whole.run_epoch()
    first = make_trainer()
    for _ in range(2):
        first.run_epoch()
    second = native.NativeTrainer(NETWORK, first.parameters, first.data, first.plan, first.state)
    for _ in range(2):
        second.run_epoch()
    np.testing.assert_array_equal(second.parameters.flat, whole.parameters.flat)
    assert second.step == whole.step == 40


@pytest.mark.arithmetic
@pytest.mark.parametrize("engine", [native, reference])
def test_chosen_rows_are_a_table_of_their_own(engine):
    whole, rows = make_data(), np.arange(400, 0, -3)
    chosen = TrainingData(whole.X, whole.targets, rows=rows)
    alone = TrainingData(whole.X[rows], whole.targets[rows])
    kind = native.NativeTrainer if engine is native else reference.ReferenceTrainer
    plan = TrainingPlan(Adam(0.01), 50, n_epochs=3, schedule=OneCycle())
    results = []
    for data in (chosen, alone):
        parameters = NETWORK.initialize(6, seed=1)
        trainer = kind(NETWORK, parameters, data, plan)
        losses = [trainer.run_epoch().loss for _ in range(3)]
        objective, gradient = engine.loss_and_gradient(NETWORK, parameters, data, 0.1)
        results.append((*losses, objective, *parameters.flat, *gradient.flat))
    assert results[0] == results[1]


@pytest.mark.arithmetic
def test_the_number_of_threads_may_change_between_epochs():
    one, other = make_trainer(n_threads=1), make_trainer(n_threads=1)
    for n_threads in (1, 3, 3, None, 2):
        other.n_threads = n_threads
        assert other.n_threads == n_threads
        one.run_epoch()
        other.run_epoch()
        np.testing.assert_array_equal(one.parameters.flat, other.parameters.flat)
    np.testing.assert_array_equal(one.optimizer_state.second, other.optimizer_state.second)


@pytest.mark.alone
def test_another_thread_can_stop_an_epoch_after_its_step():
    trainer = make_trainer(n_threads=1)
    before = trainer.parameters.flat.copy()
    order = np.zeros(40_000_000, dtype=np.int64)  # minutes
    caught = []

    def train():
        try:
            trainer.run_epoch(order)
        except KeyboardInterrupt as error:
            caught.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    time.sleep(0.2)
    trainer.stop()
    thread.join(timeout=60)
    assert len(caught) == 1
    assert 0 < trainer.step < 800_000
    assert (trainer.parameters.flat != before).any()
    trainer.run_epoch()  # and it can go on


@pytest.mark.arithmetic
def test_non_finite_loss_names_the_place_and_keeps_the_last_good_weights():
    data = make_data()
    trainer = make_trainer(data, optimizer=SGD(0.1))
    trainer.run_epoch()
    good = trainer.parameters.flat.copy()
    with pytest.raises(NonFiniteError, match=r"epoch 1.*learning rate") as caught:
        trainer.run_epoch(learning_rate=1e300)
    np.testing.assert_array_equal(trainer.parameters.flat, good)
    assert caught.value.layer is not None
    with pytest.raises(RuntimeError, match="make a new one"):
        trainer.run_epoch()


@pytest.mark.arithmetic
def test_weights_that_overflow_in_the_last_step_are_not_kept():
    data = TrainingData(np.array([[1e200]]), np.array([[1e200]]))
    chain = Chain([Linear(1, weights="zeros")], "half_squared_error")
    parameters = chain.initialize(1, seed=0)
    plan = TrainingPlan(SGD(1.0), batch_size=1)
    # The loss, 1e400 / 2, is already infinite.
    with pytest.raises(NonFiniteError):
        native.NativeTrainer(chain, parameters, data, plan).run_epoch()
    # Here the loss is finite and the update is not.
    small = TrainingData(np.array([[1e150]]), np.array([[1e150]]))
    with pytest.raises(NonFiniteError):
        native.NativeTrainer(chain, parameters, small, TrainingPlan(SGD(1e10), 1)).run_epoch()
    np.testing.assert_array_equal(parameters.flat, 0.0)


@pytest.mark.arithmetic
def test_both_engines_name_the_step_whose_update_overflowed():
    data = TrainingData(np.array([[1e150]]), np.array([[1e150]]))
    chain = Chain([Linear(1, weights="zeros")], "half_squared_error")
    errors = []
    for engine in (native.NativeTrainer, reference.ReferenceTrainer):
        parameters = chain.initialize(1, seed=0)
        with pytest.raises(NonFiniteError) as caught:
            engine(chain, parameters, data, TrainingPlan(SGD(1e10), 1)).run_epoch()
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert "step 1, in layer 0" in errors[0]


@pytest.mark.arithmetic
def test_a_penalty_that_overflows_stops_training():
    chain = Chain([Linear(1, weights="zeros")], "half_squared_error")
    parameters = chain.initialize(1, seed=0, dtype=np.float32)
    parameters["0.W"][...] = 1e25
    data = TrainingData(np.zeros((4, 1)), np.zeros((4, 1)))
    plan = TrainingPlan(SGD(1e-3), 2, l2_penalty=1.0)
    trainer = native.NativeTrainer(chain, parameters, data, plan)
    with pytest.raises(NonFiniteError):
        trainer.run_epoch()


def test_an_order_may_repeat_rows_beyond_the_size_of_the_table():
    data = make_data(20)
    order = np.arange(50) % 20
    flat = []
    for engine in (native.NativeTrainer, reference.ReferenceTrainer):
        parameters = NETWORK.initialize(6, seed=1)
        trainer = engine(NETWORK, parameters, data, TrainingPlan(Adam(0.01), batch_size=40))
        trainer.run_epoch()
        assert trainer.run_epoch(order=order).n_steps == 2
        flat.append(parameters.flat)
    np.testing.assert_allclose(flat[0], flat[1], rtol=1e-10, atol=1e-12)


@pytest.mark.arithmetic
@pytest.mark.parametrize("n", [1, 5, 63, 64, 65, 200, 700])
@pytest.mark.parametrize("widths", [(3, 16, 5), (784, 100, 10), (50, 128, 64)])
def test_scores_do_not_depend_on_how_many_rows_are_asked_for(n, widths):
    fan_in, hidden, fan_out = widths
    chain = Chain([Linear(hidden), Activation("tanh"), Linear(fan_out)], "half_squared_error")
    parameters = chain.initialize(fan_in, seed=0)
    X = np.random.default_rng(0).standard_normal((700, fan_in))
    every = native.predict_scores(chain, parameters, X, n_threads=1)
    rows = np.random.default_rng(1).integers(0, 700, n)
    for n_threads in (1, 2, 5):
        some = native.predict_scores(chain, parameters, X, n_threads, rows)
        np.testing.assert_array_equal(some, every[rows])
    np.testing.assert_array_equal(native.predict_scores(chain, parameters, X[:n]), every[:n])
    np.testing.assert_allclose(
        every, reference.predict_scores(chain, parameters, X), rtol=1e-11, atol=1e-12
    )


def test_scores_of_rows_that_are_not_there_are_refused():
    parameters = NETWORK.initialize(6, seed=0)
    with pytest.raises(ValueError, match="names row 7, but X has 7 rows"):
        native.predict_scores(NETWORK, parameters, np.zeros((7, 6)), rows=np.array([0, 7]))


def test_the_full_gradient_of_a_wide_sparse_table_takes_little_memory():
    setup = """
        import numpy as np, scipy.sparse
        from pellucid.engine.native import NativeObjective
        from pellucid.engine.plan import TrainingData
        from pellucid.nn import Linear, Chain
        columns = np.sort(np.random.default_rng(0).integers(100_000, size=(2000, 10)))
        entries = (np.ones(columns.size), columns.ravel(), 10 * np.arange(2001))
        X = scipy.sparse.csr_array(entries, shape=(2000, 100_000))
        chain = Chain([Linear(1)], "logistic_cross_entropy")
        parameters = chain.initialize(100_000, seed=0)
        data = TrainingData(X, np.zeros((2000, 1)))
    """
    raised = peak_raised_by("NativeObjective(chain, parameters, data)(parameters.flat)", setup)
    assert raised < 150 * 2**20  # 1024 dense rows would be 800 MiB


def test_an_epoch_without_rows_changes_nothing():
    trainer = make_trainer()
    before = trainer.parameters.flat.copy()
    result = trainer.run_epoch(order=np.empty(0, dtype=np.int64))
    assert (result.n_steps, result.n_examples) == (0, 0)
    np.testing.assert_array_equal(trainer.parameters.flat, before)


def test_scores_of_no_rows():
    parameters = NETWORK.initialize(6, seed=0)
    assert native.predict_scores(NETWORK, parameters, np.empty((0, 6))).shape == (0, 3)


@pytest.mark.arithmetic
def test_an_epsilon_of_zero_leaves_parameters_without_gradient_alone():
    data = make_data()
    data.X[:, 2] = 0.0
    plan = TrainingPlan(Adam(0.01, epsilon=0.0), batch_size=50)
    for engine in (native.NativeTrainer, reference.ReferenceTrainer):
        parameters = NETWORK.initialize(6, seed=1)
        before = parameters["0.W"][2].copy()
        engine(NETWORK, parameters, data, plan).run_epoch()
        np.testing.assert_array_equal(parameters["0.W"][2], before)
        assert np.isfinite(parameters.flat).all()


BAD_INPUT = {
    "a row that is not there": ({"order": np.array([500])}, "names row"),
    "a negative row": ({"order": np.array([-1])}, "names row"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_orders_are_refused(case):
    arguments, message = BAD_INPUT[case]
    trainer = make_trainer()
    with pytest.raises(ValueError, match=message):
        trainer.run_epoch(**arguments)


def bad_data():
    X, y = np.zeros((4, 6)), np.zeros(4, dtype=np.int64)
    broken = scipy.sparse.csr_matrix(np.ones((4, 6)))
    broken.indices = broken.indices + 1
    short = scipy.sparse.csr_matrix(np.ones((4, 6)))
    short.indptr = short.indptr + 1
    return {
        "label too large": (TrainingData(X, y + 3), "below 3, got 3"),
        "label negative": (TrainingData(X, y - 1), "at least 0"),
        "labels that are no integers": (TrainingData(X, y + 0.5), "labels must be integers"),
        "targets too narrow": (TrainingData(X, np.zeros((4, 2))), "3 columns"),
        "objects": (TrainingData(X.astype(object), y), "real numbers"),
        "complex": (TrainingData(X.astype(complex), y), "real numbers"),
        "column index too large": (TrainingData(broken, y), "outside the matrix"),
        "row offsets broken": (TrainingData(short, y), "indptr"),
    }


@pytest.mark.parametrize("case", bad_data())
def test_bad_data_is_refused_before_anything_is_read(case):
    data, message = bad_data()[case]
    with pytest.raises((ValueError, TypeError), match=message):
        make_trainer(data).run_epoch()


def test_parameters_of_another_network_are_refused():
    other = Chain([Linear(3)], "softmax_cross_entropy").initialize(6, seed=0)
    with pytest.raises(ValueError, match="does not fit"):
        native.NativeTrainer(NETWORK, other, make_data(), TrainingPlan(SGD(), 10))
    with pytest.raises(ValueError, match="does not fit"):
        native.predict_scores(NETWORK, other, np.zeros((2, 6)))


def test_other_precisions_are_refused():
    parameters = NETWORK.initialize(6, seed=0, dtype=np.float16)
    with pytest.raises(TypeError, match="float32 or float64"):
        native.predict_scores(NETWORK, parameters, np.zeros((2, 6)))


def test_the_compiled_module_checks_offsets_itself():
    program = core.Program64(3, 10)
    with pytest.raises(ValueError, match="outside the flat buffer"):
        program.add_linear(4, 0, -1)
    here, outside = (0, 1.0), (8, 1.0)
    with pytest.raises(ValueError, match="outside the flat buffer"):
        program.add_batch_norm(0.1, 1e-5, here, here, here, outside)
    with pytest.raises(ValueError, match="outside the flat buffer"):
        program.add_periodic_embedding(2, 1, here, here, here, outside)
    with pytest.raises(ValueError, match="a dim of 2"):
        program.add_periodic_embedding(1, 1, here, here, here, here)
    with pytest.raises(ValueError, match="the edges of each column"):
        program.add_piecewise_linear_embedding([[0.0, 1.0]] * 2, 0, here, here)
    with pytest.raises(ValueError, match="at least two edges"):
        program.add_piecewise_linear_embedding([[0.0]] * 3, 0, here, here)
    with pytest.raises(ValueError, match="outside the flat buffer"):
        program.add_piecewise_linear_embedding([[0.0, 1.0]] * 3, 2, outside, here)
    with pytest.raises(ValueError, match="unknown activation"):
        program.add_activation("sine", 0.0, 1.0)
    with pytest.raises(ValueError, match="unknown loss"):
        program.set_loss("hinge", 0.0)
    with pytest.raises(ValueError, match="at least one layer"):
        core.Trainer64(core.Program64(3, 0), 1, 1)


def test_fits_on_several_python_threads_do_not_disturb_each_other():
    def fit(seed):
        trainer = make_trainer(make_data(seed=seed), n_threads=2)
        for _ in range(20):
            trainer.run_epoch()
        return trainer.parameters.flat

    alone = [fit(seed) for seed in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    for mine, theirs in zip(alone, together, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.alone
def test_python_threads_run_while_the_engine_trains():
    trainer = make_trainer(n_threads=2)

    def stop_after_a_while():
        for _ in range(100):
            time.sleep(0.001)
        trainer.stop()

    thread = threading.Thread(target=stop_after_a_while)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        trainer.run_epoch(np.zeros(20_000_000, dtype=np.int64))
    thread.join()
    assert 0 < trainer.step < 400_000


def run_python(code, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, **kwargs
    )


SETUP = """
import numpy as np, os, signal, sys, threading, time
from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Linear, Chain
rng = np.random.default_rng(0)
chain = Chain([Linear(64), Activation("relu"), Linear(3)], "softmax_cross_entropy")

def make(n, seed=0):
    data = TrainingData(rng.standard_normal((n, 20)), rng.integers(0, 3, n))
    params = chain.initialize(20, seed=seed)
    return NativeTrainer(chain, params, data, TrainingPlan(Adam(), 50, n_threads=2))
"""


@pytest.mark.alone
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_trains_with_threads_of_its_own():
    code = SETUP + textwrap.dedent("""
        make(1000).run_epoch()          # the team exists before the fork
        child = os.fork()
        trainer = make(1000)
        for _ in range(3):
            trainer.run_epoch()
        if child == 0:
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))
    """)
    finished = run_python(code, timeout=60)
    assert finished.returncode == 0, finished.stderr


INTERRUPTED = """
trainer = make(1000)
order = np.zeros(20_000_000, dtype=np.int64)    # many seconds
before = trainer.parameters.flat.copy()

def interrupt():
    time.sleep(0.3)
    interrupt.sent = time.perf_counter()
    signal.raise_signal(signal.NUMBER)

began = time.perf_counter()
threading.Thread(target=interrupt).start()
try:
    trainer.run_epoch(order=order)
except (KeyboardInterrupt, Stop) as error:
    seconds = time.perf_counter() - began
    assert 0 < trainer.step < 400_000
    whole_epoch = seconds * 400_000 / trainer.step
    assert time.perf_counter() - interrupt.sent < 0.1 * whole_epoch
    assert (trainer.parameters.flat != before).any()
    assert np.isfinite(trainer.parameters.flat).all()
    print(repr(error))
trainer.run_epoch(order=np.arange(100))
print("went on")
"""
HANDLER = """
class Stop(Exception):
    pass

def handler(number, frame):
    raise Stop("by my handler")
"""


@pytest.mark.alone
def test_ctrl_c_stops_within_a_step_and_keeps_the_weights_so_far():
    code = SETUP + HANDLER + INTERRUPTED.replace("NUMBER", "SIGINT")
    finished = run_python(code, timeout=120)
    assert finished.stdout.splitlines() == ["KeyboardInterrupt()", "went on"], finished.stderr


@pytest.mark.alone
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_handler_of_the_users_own_stays_in_charge(name):
    set_handler = f"signal.signal(signal.{name}, handler)"
    code = SETUP + HANDLER + set_handler + INTERRUPTED.replace("NUMBER", name)
    finished = run_python(code, timeout=120)
    expected = ["Stop('by my handler')", "went on"]
    assert finished.stdout.splitlines() == expected, finished.stderr
