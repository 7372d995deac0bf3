"""Threads of a head's calls to the scheduler: there while a call is, and gone with it."""

from __future__ import annotations

import threading

import pytest

from orchestrator.app.threads import BriefThreads
from tests.main_job.runs import wait_until


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_calls_run_side_by_side_and_leave_no_thread_behind() -> None:
    threads = BriefThreads("brief")
    meeting = threading.Barrier(6)
    calls = [threads.submit(meeting.wait, 30) for _ in range(5)]
    assert names().count("brief") == 5
    meeting.wait(30)
    assert sorted(call.result(30) for call in calls) != []
    wait_until(lambda: "brief" not in names())


def test_what_a_call_ends_with_is_handed_over() -> None:
    threads = BriefThreads("brief")
    assert threads.submit(divmod, 7, 2).result(30) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(divmod, 7, 0).result(30)


def test_a_user_who_may_have_no_more_threads_gets_an_answer_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    threads = BriefThreads("brief")
    assert threads.submit(divmod, 7, 2).result(0) == (3, 1)
    threads.shutdown()


def test_no_call_begins_after_the_end_and_those_under_way_are_finished() -> None:
    threads, go = BriefThreads("brief"), threading.Event()
    call = threads.submit(go.wait, 30)
    threads.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(RuntimeError, match="no calls are taken any more"):
        threads.submit(go.wait, 30)
    assert not call.done()
    go.set()
    threads.shutdown()
    assert call.result(30)
