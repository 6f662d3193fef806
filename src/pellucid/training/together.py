"""Several jobs at once, with the processors shared out among them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

from pellucid.engine.contract import Engine
from pellucid.engine.threads import resolve_n_threads
from pellucid.outside_warning import warn_outside
from pellucid.training.epochs import EpochRun
from pellucid.training.job import TrainingJob
from pellucid.training.lbfgs import LbfgsRun
from pellucid.training.outcome import Outcome
from pellucid.training.result import FitResult

Run = EpochRun | LbfgsRun

_SECONDS_BETWEEN_LOOKS = 0.2
"""How often the waiting thread looks up, where the system does not wake it for Ctrl-C."""


def run_together(
    jobs: Sequence[TrainingJob], engines: Sequence[Engine], n_threads: int | None = None
) -> list[FitResult]:
    """Run independent jobs at the same time; each gives what it would give alone, to the bit.

    As many run as there are threads, each on one of its own, while the others wait for their turn.
    When fewer are left than threads, they take over those that became free, from their next epoch
    on. An engine releases the GIL while it computes, so Python threads are enough.

    Parameters
    ----------
    jobs : sequence of TrainingJob
        No two of them may train the same parameters.
    engines : sequence of Engine
        One for each job.
    n_threads : int, optional
        For all of them together; see `resolve_n_threads`.

    Returns
    -------
    list of FitResult
        In the order of `jobs`. The error of one does not touch the others. After Ctrl-C every job
        stops within a step and has the outcome `INTERRUPTED`, also one that had not begun; if all
        had finished before they could be stopped, the last one has it. Where the system refuses to
        start so many threads, those there are and the caller's do the work, with one
        RuntimeWarning.

    Raises
    ------
    ValueError, TypeError
        A job cannot begin; then none has.
    """
    runs = [job.begin(engine) for job, engine in zip(jobs, engines, strict=True)]
    if len(runs) == 0:
        return []
    cores = _Cores(resolve_n_threads(n_threads), len(runs), adapts=n_threads is None)
    n_places = cores.n_places
    turns: SimpleQueue[int] = SimpleQueue()
    for i in range(len(runs)):
        turns.put(i)
    results: dict[int, FitResult] = {}
    finished = threading.Event()

    def work(in_new_thread: bool = True) -> None:
        with suppress(Empty):
            while True:
                i = turns.get_nowait()
                try:
                    results[i] = _run(runs[i], cores)
                finally:
                    never_begun = FitResult(
                        Outcome.INTERRUPTED, 0, math.nan, jobs[i].start, has_begun=False
                    )
                    results.setdefault(i, never_begun)
                    if len(results) == len(runs):
                        finished.set()
                is_ctrl_c = results[i].outcome is Outcome.INTERRUPTED and not in_new_thread
                if is_ctrl_c and not cores.stopped.is_set():
                    raise KeyboardInterrupt

    n_begun = 0
    interruption: BaseException | None = None
    while not finished.is_set():
        # Ctrl-C may come at any point of this, also while a thread begins or all are being stopped.
        # So nothing waits for the threads, but for the results.
        try:
            if interruption is not None:
                cores.stopped.set()
                for run in runs:
                    run.stop()
                work(in_new_thread=False)  # Those that have not begun end at once.
            while n_begun < cores.n_places:
                n_begun += 1
                if not _starts(work, n_begun):
                    cores.make_do_with(n_begun)
                    _warn_of_shortage(n_begun, n_places)
                    work(in_new_thread=False)
            finished.wait(_SECONDS_BETWEEN_LOOKS)
        except BaseException as error:
            interruption = error
    if interruption is not None and not isinstance(interruption, KeyboardInterrupt):
        raise interruption
    ends = [results[i] for i in range(len(runs))]
    if interruption is not None and all(end.outcome is not Outcome.INTERRUPTED for end in ends):
        # All had finished when the stop reached them: the caller must still learn of it.
        ends[-1] = replace(ends[-1], outcome=Outcome.INTERRUPTED)
    return ends


def _starts(work: Callable[[], None], number: int) -> bool:
    """Start a thread; return whether the system had one more."""
    thread = threading.Thread(target=work, name=f"pellucid-fit-{number}", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def _warn_of_shortage(available: int, asked: int) -> None:
    warn_outside(
        f"the system refused to start more threads: running on {available} of the {asked} asked "
        "for. Results are the same, but take longer. Lower n_threads or OMP_NUM_THREADS, or raise "
        "the limit on processes (ulimit -u, the container's pids limit) or on memory",
        RuntimeWarning,
    )


def _run(run: Run, cores: _Cores) -> FitResult:
    def take_share() -> None:
        if cores.stopped.is_set():
            raise KeyboardInterrupt
        run.n_threads = cores.share(run)

    cores.enter(run)
    run.before_run = take_share
    try:
        return run.run()
    finally:
        run.before_run = None
        cores.leave(run)


class _Cores:
    """Says how many threads each running job may use."""

    def __init__(self, n_threads: int, n_runs: int, *, adapts: bool) -> None:
        self._adapts = adapts
        self.n_places = min(n_threads, n_runs)
        self.stopped = threading.Event()
        self._n_threads = n_threads
        self._n_left = n_runs
        self._running: list[Run] = []
        self._lock = threading.Lock()

    def make_do_with(self, n_threads: int) -> None:
        """Share out only so many: the system has no more."""
        with self._lock:
            self.n_places = self._n_threads = n_threads
            self._adapts = False

    def enter(self, run: Run) -> None:
        with self._lock:
            self._running.append(run)

    def leave(self, run: Run) -> None:
        with self._lock:
            self._running = [other for other in self._running if other is not run]
            self._n_left -= 1

    def share(self, run: Run) -> int | None:
        """Return an equal part of the threads; the jobs that began first get what is over.

        None, which leaves the engine to find out how many are of use, for one that has all of the
        machine's to itself: more threads than free processors slow short steps down.
        """
        with self._lock:
            place = next(i for i, other in enumerate(self._running) if other is run)
            # Those that are about to begin have their part as well.
            each, over = divmod(self._n_threads, min(self.n_places, self._n_left))
            share = each + (place < over)
            return None if self._adapts and share == self._n_threads > 1 else share
