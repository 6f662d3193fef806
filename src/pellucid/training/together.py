"""Several fits at once, with the processors shared out among them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from pellucid.engine.threads import resolve_n_threads
from pellucid.training.fit import EpochLoop
from pellucid.training.outcome import Outcome

_SECONDS_BETWEEN_LOOKS = 0.2
"""How often the waiting thread looks up, where the system does not wake it for Ctrl-C."""


@dataclass(frozen=True)
class FitResult:
    """How one of several fits ended: with an outcome, or with the error that it raised."""

    outcome: Outcome | None
    error: Exception | None = None


def run_together(
    loops: Sequence[EpochLoop], max_epochs: Sequence[int], n_threads: int | None = None
) -> list[FitResult]:
    """Run independent loops at the same time; each gives what it would give alone, to the bit.

    As many run as there are threads, each on one of its own, while the others wait for their turn.
    When fewer are left than threads, they take over those that became free, from their next epoch
    on. An engine releases the GIL while it computes, so Python threads are enough.

    Parameters
    ----------
    loops : sequence of EpochLoop
        No two of them may train the same parameters.
    max_epochs : sequence of int
        One for each loop; see `EpochLoop.run`.
    n_threads : int, optional
        For all of them together; see `resolve_n_threads`.

    Returns
    -------
    list of FitResult
        In the order of `loops`. The error of one does not touch the others. After Ctrl-C every
        loop stops within a step and has the outcome `INTERRUPTED`, also one that had not begun.
    """
    if len(loops) == 0:
        return []
    cores = _Cores(resolve_n_threads(n_threads), len(loops), adapts=n_threads is None)
    turns: SimpleQueue[int] = SimpleQueue()
    for i in range(len(loops)):
        turns.put(i)
    results: dict[int, FitResult] = {}
    finished = threading.Event()

    def work() -> None:
        with suppress(Empty):
            while True:
                i = turns.get_nowait()
                try:
                    results[i] = _run(loops[i], max_epochs[i], cores)
                finally:
                    results.setdefault(i, FitResult(Outcome.INTERRUPTED))
                    if len(results) == len(loops):
                        finished.set()

    n_begun = 0
    interruption: BaseException | None = None
    while not finished.is_set():
        # Ctrl-C may come at any point of this, also while a thread begins or all are being stopped.
        # So nothing waits for the threads, but for the results.
        try:
            if interruption is not None:
                cores.stopped.set()
                for loop in loops:
                    loop.trainer.stop()
                work()  # Those that have not begun end at once.
            while n_begun < cores.n_places:
                n_begun += 1
                threading.Thread(target=work, name=f"pellucid-fit-{n_begun}", daemon=True).start()
            finished.wait(_SECONDS_BETWEEN_LOOKS)
        except BaseException as error:
            interruption = error
    if interruption is not None and not isinstance(interruption, KeyboardInterrupt):
        raise interruption
    return [results[i] for i in range(len(loops))]


def _run(loop: EpochLoop, max_epochs: int, cores: _Cores) -> FitResult:
    def take_share() -> None:
        if cores.stopped.is_set():
            raise KeyboardInterrupt
        loop.trainer.n_threads = cores.share(loop)

    cores.enter(loop)
    loop.before_run.append(take_share)
    try:
        return FitResult(loop.run(max_epochs))
    except Exception as error:
        return FitResult(None, error)
    finally:
        loop.before_run.remove(take_share)
        cores.leave(loop)


class _Cores:
    """Says how many threads each running loop may use."""

    def __init__(self, n_threads: int, n_loops: int, *, adapts: bool) -> None:
        self._adapts = adapts
        self.n_places = min(n_threads, n_loops)
        self.stopped = threading.Event()
        self._n_threads = n_threads
        self._n_left = n_loops
        self._running: list[EpochLoop] = []
        self._lock = threading.Lock()

    def enter(self, loop: EpochLoop) -> None:
        with self._lock:
            self._running.append(loop)

    def leave(self, loop: EpochLoop) -> None:
        with self._lock:
            self._running = [other for other in self._running if other is not loop]
            self._n_left -= 1

    def share(self, loop: EpochLoop) -> int | None:
        """Return an equal part of the threads; the loops that began first get what is over.

        None, which leaves the engine to find out how many are of use, for one that has all of the
        machine's to itself: more threads than free processors slow short steps down.
        """
        with self._lock:
            place = next(i for i, other in enumerate(self._running) if other is loop)
            # Those that are about to begin have their part as well.
            each, over = divmod(self._n_threads, min(self.n_places, self._n_left))
            share = each + (place < over)
            return None if self._adapts and share == self._n_threads > 1 else share
