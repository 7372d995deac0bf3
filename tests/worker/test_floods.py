"""Programs that print without end, and logs and reports that have no room for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from db.spool.inbox import MAX_BYTES
from tests.worker.runs import ENTRY, PYTHON, TOKEN, Run, wait_until

MEGABYTE = 1_000_000
# An interpreter takes 15 MB; a worker that kept what it reads would take as much as was printed.
BOUND_BYTES = 60 * MEGABYTE


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("size", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_line_without_end_fills_the_log_and_not_the_memory(run: Run, size: int) -> None:
    program = f"head -c {size}000000 /dev/zero; echo > done; while [ ! -e go ]; do sleep 0.05; done"
    run.change(program=f"{program}; echo; echo RESULT: 1")
    run.assign()
    worker = run.start()
    wait_until((run.folder / "done").exists, seconds=100)
    log = run.folder / "0.log"
    wait_until(lambda: log.stat().st_size >= size * MEGABYTE, seconds=100)
    assert peak_bytes(worker.pid) < BOUND_BYTES
    (run.folder / "go").touch()
    assert worker.wait(60) == 0
    assert run.ending()["results"] == {"RESULT": 1.0}
    assert log.stat().st_size == size * MEGABYTE + len(b"\nRESULT: 1\n")
    log.unlink()


def test_a_flood_of_metrics_does_not_fill_the_memory(run: Run) -> None:
    run.change(program="yes METRIC: a=1 | head -150000; echo > done; sleep 60")
    run.assign()
    worker = run.start()
    wait_until((run.folder / "done").exists, seconds=100)
    size = 150_000 * len(b"METRIC: a=1\n")
    wait_until(lambda: (run.folder / "0.log").stat().st_size >= size, seconds=100)
    assert peak_bytes(worker.pid) < 200 * MEGABYTE
    worker.terminate()
    assert worker.wait(60) == 0


def test_more_text_than_a_report_holds_costs_the_text_and_not_the_result(run: Run) -> None:
    face = "\N{GRINNING FACE}" * 10_000
    lines = [f"OO-Info: n{n}: {face}\n" for n in range(900)]
    (run.folder / "flood").write_text("".join(lines))
    ending = run.try_program("cat flood; echo RESULT: 1")
    assert ending["results"] == {"RESULT": 1.0}
    assert 0 < len(ending["infos"]) < 900
    assert any("more than" in problem for problem in ending["problems"])
    (file,) = [path for path in Path(run.spool, "reports").iterdir() if "-END-" in path.name]
    assert file.stat().st_size < MAX_BYTES


def test_a_log_without_room_costs_the_log_and_not_the_result(run: Run) -> None:
    run.change(program="yes | head -c 1000000; echo RESULT: 1")
    run.assign()
    with Path("/dev/full").open("wb") as full:
        command = [*PYTHON, str(ENTRY), str(run.folder), TOKEN, "0"]
        assert subprocess.run(command, stdout=full, stderr=full).returncode == 0
    ending = run.ending()
    assert ending["results"] == {"RESULT": 1.0}
    assert ending["problems"] == ["the log lacks 1000010 bytes of output: No space left on device"]


def test_a_program_that_removes_its_own_folder_is_reported(run: Run) -> None:
    folder = run.folder / "here"
    folder.mkdir()
    run.change(working_folder=str(folder))
    ending = run.try_program('rm -rf "$PWD"; echo ARTIFACT: a; echo RESULT: 1')
    assert ending["results"] == {"RESULT": 1.0}
    assert ending["problems"] == ["ARTIFACT: no file 'a'"]
