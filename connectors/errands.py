"""Threads that wait for a venue, so that nothing else has to."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")


class Errands:
    """Runs jobs in a few threads of its own.

    Unlike an executor's, these threads do not hold up the end of the process: a venue that never
    answers must not.

    Args:
        threads: jobs that run at the same time; more wait.
        name: of the threads.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, job: Callable[[], _T]) -> Future[_T]:
        """Have a job done; its result or exception is in the future."""
        future: Future[_T] = Future()
        self._jobs.put(partial(_do, job, future))
        return future

    def close(self) -> None:
        """Let the threads end after what they are doing now and what was asked before."""
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _do(job: Callable[[], _T], future: Future[_T]) -> None:
    try:
        result = job()
    except BaseException as error:  # noqa: BLE001 - it is for who asked
        future.set_exception(error)
    else:
        future.set_result(result)
