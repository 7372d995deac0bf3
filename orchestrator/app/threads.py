"""Threads for calls that take their time, each as long as its call: a head that waits has none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class BriefThreads(Executor):
    """Starts a thread for each call. Nothing waits in a queue: who calls has one call out at most.

    Threads of a pool would stay for the life of the head. Here calls are seconds apart, and a
    thread costs a ten-thousandth of that.
    """

    def __init__(self, name: str) -> None:
        """Start nothing yet.

        Args:
            name: What the threads are called.
        """
        self._name = name
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Start a call in a thread of its own.

        Raises:
            RuntimeError: No calls are taken any more.
        """
        if self._is_closed:
            message = "no calls are taken any more"
            raise RuntimeError(message)
        future: Future[_T] = Future()
        future.set_running_or_notify_cancel()

        def work() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                future.set_exception(error)
            else:
                future.set_result(result)

        thread = threading.Thread(target=work, name=self._name)
        try:
            thread.start()
        except RuntimeError:
            # This user may have no more of them (`ulimit -u`). Then there are no more processes
            # either: the call cannot start its command, and is over at once.
            work()
        else:
            self._threads = [thread, *filter(threading.Thread.is_alive, self._threads)]
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - Executor's own
        """Take no calls any more; those that are under way go on, and the process waits for them.

        Args:
            wait: Wait for them here.
            cancel_futures: Without a meaning, as no call waits for its turn.
        """
        del cancel_futures
        self._is_closed = True
        for thread in self._threads if wait else ():
            thread.join()
