import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from joblib import Parallel, delayed, parallel_config

from pellucid.engine import threads
from pellucid.engine.threads import resolve_n_threads


def test_a_number_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert resolve_n_threads(7) == 7


@pytest.mark.parametrize(("processors", "most"), [(8, 256), (512, 512)])
def test_a_number_without_sense_does_not_fill_the_memory(monkeypatch, processors, most):
    monkeypatch.setattr(threads, "_available_processors", lambda: processors)
    assert [resolve_n_threads(n) for n in (256, 10**9)] == [256, most]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("1", 1), ("3,2", 3), ("100", 8), ("", 8), ("0", 8), ("many", 8), (None, 8)],
)
def test_none_is_the_processors_and_no_more_than_omp_num_threads(monkeypatch, setting, expected):
    monkeypatch.setattr(threads, "_available_processors", lambda: 8)
    if setting is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
    assert resolve_n_threads(None) == expected


@pytest.mark.parametrize("n_threads", [0, -1])
def test_no_threads_is_refused(n_threads):
    with pytest.raises(ValueError, match=f"positive integer or None, got {n_threads}"):
        resolve_n_threads(n_threads)


def test_a_fraction_of_a_thread_is_refused():
    with pytest.raises(TypeError, match=r"positive integer or None, got 1\.5"):
        resolve_n_threads(1.5)


@pytest.mark.parametrize(("n_jobs", "share"), [(2, 4), (3, 2), (8, 1), (20, 1)])
def test_worker_threads_of_joblib_share_the_processors(monkeypatch, n_jobs, share):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_available_processors", lambda: 8)
    with parallel_config(backend="threading", n_jobs=n_jobs):
        resolved = Parallel()(delayed(resolve_n_threads)(n) for n in (None, 7, None))
        assert resolved == [share, 7, share]
        assert resolve_n_threads(None) == 8


def test_other_threads_take_all(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_available_processors", lambda: 8)
    with ThreadPoolExecutor() as pool:
        assert pool.submit(resolve_n_threads, None).result() == 8
    assert Parallel(n_jobs=1, backend="threading")([delayed(resolve_n_threads)(None)]) == [8]


FORBID_THREADS = """
import os, resource, sys
import numpy as np
from pellucid.engine.native import NativeObjective, NativePredictor, NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Chain, Linear

rng = np.random.default_rng(0)
data = TrainingData(rng.standard_normal((600, 40)), rng.standard_normal((600, 1)))
chain = Chain([Linear(300), Activation("relu"), Linear(200), Linear(1)], "squared_error")
parameters = chain.initialize(40, seed=0)

def train(n_threads):
    trained = parameters.copy()
    plan = TrainingPlan(Adam(), batch_size=64, n_threads=n_threads)
    trainer = NativeTrainer(chain, trained, data, plan)
    try:
        trainer.run_epoch()
    except RuntimeWarning:  # where a warning is an error, the steps are kept
        assert trainer.step == 10
        print("raised")
    return trained.flat

def predict(n_threads):
    return NativePredictor(chain, parameters, 40, n_threads)(data.X)

def differentiate(n_threads):
    return NativeObjective(chain, parameters, data, n_threads=n_threads)(parameters.flat)[1].flat

task = {"train": train, "predict": predict, "differentiate": differentiate}[sys.argv[1]]
expected = task(1)
task(int(sys.argv[2]))  # the threads that it starts stay
if os.geteuid() == 0:
    os.setuid(65534)  # root has no limit
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
for _ in range(3):
    assert np.array_equal(task(8), expected)
"""


def run_without_more_threads(task, n_threads, action):
    """Return the finished process, which could start no more than `n_threads` threads."""
    options = [f"-W{action}::RuntimeWarning", "-c", FORBID_THREADS, task, str(n_threads)]
    return subprocess.run([sys.executable, *options], capture_output=True, text=True)


on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only on Linux does the limit on processes hold for threads"
)


@on_linux
@pytest.mark.parametrize(
    ("task", "n_threads"), [("train", 1), ("train", 3), ("predict", 3), ("differentiate", 3)]
)
def test_where_the_system_refuses_threads_the_others_do_the_work(task, n_threads):
    done = run_without_more_threads(task, n_threads, "always")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert f"running on {n_threads} of the 8 asked for" in done.stderr
    assert "Lower n_threads or OMP_NUM_THREADS, or raise the limit" in done.stderr


@on_linux
def test_the_warning_of_refused_threads_ends_no_epoch_where_it_is_an_error():
    done = run_without_more_threads("train", 1, "error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "raised\n", "")
