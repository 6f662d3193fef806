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
