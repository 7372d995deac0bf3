from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.generators.base import Ask, Batch, GeneratorError, Observation, Point
from orchestrator.generators.process import Answer, GeneratorProcess
from orchestrator.generators.strategy import make_generator
from orchestrator.spec.parameters import RangeParameter
from orchestrator.spec.space import Space
from tests.generators.contract import ask
from tests.generators.samples import MIXED, ONE, PLANE, grid, keys, observe

ROOT = Path(__file__).parents[2]
LONG = ask(9, count=2_000_000)  # keeps a generator busy for longer than any test


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "generator.log"


@pytest.fixture
def process(log: Path) -> Iterator[GeneratorProcess]:
    with GeneratorProcess(PLANE, ONE, log_path=log) as process:
        yield process


def answer_of(process: GeneratorProcess, seconds: float = 60) -> Answer:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        select.select([process], [], [], 1)
        if (answer := process.poll()) is not None:
            return answer
    raise AssertionError(f"no answer within {seconds} s")


def batch_of(process: GeneratorProcess, name: str, question: Ask) -> Batch:
    process.ask(name, question)
    answer = answer_of(process)
    assert isinstance(answer.result, Batch), answer.result
    assert answer.generator == name
    assert answer.ask == question
    return answer.result


def error_of(answer: Answer) -> GeneratorError:
    assert isinstance(answer.result, GeneratorError), answer.result
    return answer.result


def child_of(head: int) -> int:
    """The generator process of a head, once it has become one."""
    deadline = time.monotonic() + 10
    while True:
        children = Path(f"/proc/{head}/task/{head}/children").read_text().split()
        # Services that other tests started are children of this process too.
        found = [pid for pid in children if b"child.py" in _command(pid)]
        if len(found) == 1:
            return int(found[0])
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def runs(child: int) -> bool:
    try:
        stat = Path(f"/proc/{child}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_for_end(child: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while runs(child):
        assert time.monotonic() < deadline, f"{child} still runs"
        time.sleep(0.02)


def test_it_gives_the_points_that_the_generator_gives_in_this_process(log: Path) -> None:
    told = observe(make_generator("UNIFORM", MIXED, ONE).ask(ask(count=5)).points)
    pending = [observation.point for observation in told[:2]]
    question = ask(3, count=4, pending=pending)
    here = make_generator("TPE", MIXED, ONE)
    here.tell(told)
    with GeneratorProcess(MIXED, ONE, log_path=log, warm="TPE") as process:
        process.tell(told)
        there = batch_of(process, "TPE", question)
    assert there.points == here.ask(question).points
    assert all(MIXED.allows(point) for point in there.points)


def test_all_generators_of_one_process_are_told_the_same(log: Path) -> None:
    space = grid(3)
    points = list(space.points())
    with GeneratorProcess(space, ONE, log_path=log) as process:
        process.tell(observe(points[:5]))
        first = batch_of(process, "UNIFORM", ask(count=2)).points
        process.tell(observe(first, first=5))
        second = batch_of(process, "TPE", ask(1, count=2)).points
    assert len(keys([*points[:5], *first, *second])) == 9


def test_a_sequence_goes_on_in_another_process(log: Path) -> None:
    with GeneratorProcess(PLANE, ONE, log_path=log) as process:
        first = batch_of(process, "SOBOL", ask(count=3))
    with GeneratorProcess(PLANE, ONE, log_path=log) as process:
        rest = batch_of(process, "SOBOL", replace(ask(1, count=3), state=first.state))
    whole = make_generator("SOBOL", PLANE, ONE).ask(ask(count=6))
    assert [*first.points, *rest.points] == whole.points


def test_an_error_of_a_generator_is_an_answer_and_the_process_lives_on(
    process: GeneratorProcess,
) -> None:
    process.ask("TPI", ask())
    assert "unknown model" in str(error_of(answer_of(process)))
    process.ask("TPE", replace(ask(), pending=[{"x": "text", "y": None}]))  # type: ignore[dict-item]
    answer_of(process)
    assert batch_of(process, "UNIFORM", ask()).points
    assert process.is_alive()


def test_what_cannot_be_written_as_json_is_an_answer_too(process: GeneratorProcess) -> None:
    process.ask("UNIFORM", replace(ask(), state={"path": Path()}))
    assert "cannot be written as JSON" in str(error_of(answer_of(process)))
    assert batch_of(process, "UNIFORM", ask()).points


def test_it_is_busy_until_the_answer_was_taken(process: GeneratorProcess) -> None:
    assert not process.is_busy
    process.ask("UNIFORM", ask())
    assert process.is_busy
    with pytest.raises(RuntimeError, match="busy"):
        process.ask("UNIFORM", ask())
    answer_of(process)
    assert not process.is_busy


def test_a_busy_process_never_makes_the_head_wait(process: GeneratorProcess) -> None:
    batch_of(process, "UNIFORM", ask())
    child = child_of(os.getpid())
    os.kill(child, signal.SIGSTOP)
    points = make_generator("UNIFORM", PLANE, ONE).ask(ask(count=100)).points
    told = [
        Observation(trial=i, point=points[i % 100], means={"LOSS": 1.0}) for i in range(100_000)
    ]
    wide: list[Point] = points * 50  # far more than a pipe holds
    slowest = 0.0
    for step in (
        lambda: process.tell(told),
        lambda: process.ask("SOBOL", ask(1, pending=wide)),
        lambda: process.tell(told[:10]),
        *[process.poll] * 20,
    ):
        began = time.perf_counter()
        assert step() is None
        slowest = max(slowest, time.perf_counter() - began)
        time.sleep(0.02)
    assert slowest < 0.1
    os.kill(child, signal.SIGCONT)
    assert isinstance(answer_of(process).result, Batch)


def test_a_killed_process_is_started_again_and_knows_everything(log: Path) -> None:
    space = grid(3)
    points = list(space.points())
    with GeneratorProcess(space, ONE, log_path=log) as process:
        process.tell(observe(points[:4]))
        batch_of(process, "UNIFORM", ask())
        first = child_of(os.getpid())
        os.kill(first, signal.SIGSTOP)
        process.tell(observe(points[4:8], first=4))
        process.ask("UNIFORM", ask(1))
        os.kill(first, signal.SIGKILL)
        assert "was killed by SIGKILL" in str(error_of(answer_of(process)))
        assert process.is_alive()
        assert child_of(os.getpid()) != first
        assert batch_of(process, "UNIFORM", ask(2)).points == points[8:]


def test_a_process_that_dies_between_asks_is_started_again(process: GeneratorProcess) -> None:
    batch_of(process, "UNIFORM", ask())
    os.kill(child_of(os.getpid()), signal.SIGKILL)
    select.select([process], [], [], 10)
    assert process.poll() is None
    assert batch_of(process, "UNIFORM", ask(1)).points


def test_an_ask_to_a_process_that_just_died_is_answered(process: GeneratorProcess) -> None:
    batch_of(process, "UNIFORM", ask())
    child = child_of(os.getpid())
    os.kill(child, signal.SIGKILL)
    wait_for_end(child)
    process.ask("UNIFORM", ask(1))
    assert "SIGKILL" in str(error_of(answer_of(process)))
    assert batch_of(process, "UNIFORM", ask(2)).points


def test_a_process_that_dies_three_times_before_it_answered_stays_dead(
    process: GeneratorProcess,
) -> None:
    for number in range(3):
        process.ask("UNIFORM", ask(number))
        os.kill(child_of(os.getpid()), signal.SIGKILL)
        assert "SIGKILL" in str(error_of(answer_of(process)))
    assert not process.is_alive()
    process.ask("UNIFORM", ask(4))
    assert "SIGKILL" in str(error_of(answer_of(process)))


def test_a_process_that_dies_again_and_again_while_idle_is_started_by_the_next_ask(
    process: GeneratorProcess,
) -> None:
    for _ in range(2):
        os.kill(child_of(os.getpid()), signal.SIGKILL)
        select.select([process], [], [], 10)
        assert process.poll() is None
    assert not process.is_alive()
    assert batch_of(process, "UNIFORM", ask()).points
    assert process.incarnation > 2


def test_a_process_that_cannot_be_started_answers_with_the_reason(tmp_path: Path) -> None:
    with GeneratorProcess(PLANE, ONE, log_path=tmp_path / "no" / "folder" / "log") as process:
        process.ask("UNIFORM", ask())
        assert "could not be started" in str(error_of(answer_of(process)))
        assert not process.is_alive()


def test_closing_ends_a_process_in_the_midst_of_an_ask(process: GeneratorProcess) -> None:
    process.ask("UNIFORM", LONG)
    child = child_of(os.getpid())
    time.sleep(0.5)
    began = time.monotonic()
    process.close()
    assert time.monotonic() - began < 3
    wait_for_end(child)
    assert process.poll() is None
    process.close()


def test_closing_ends_a_stopped_process_with_a_full_pipe(process: GeneratorProcess) -> None:
    batch_of(process, "UNIFORM", ask())
    child = child_of(os.getpid())
    os.kill(child, signal.SIGSTOP)
    process.ask("UNIFORM", ask(1, pending=[{"x": 0.1, "y": 0.2}] * 20_000))
    time.sleep(0.3)
    process.close()
    wait_for_end(child)


def test_open_files_are_given_back(log: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with GeneratorProcess(PLANE, ONE, log_path=log) as process:
        batch_of(process, "UNIFORM", ask())
        os.kill(child_of(os.getpid()), signal.SIGKILL)
        select.select([process], [], [], 10)
        process.poll()
        batch_of(process, "UNIFORM", ask())
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_ctrl_c_in_the_terminal_does_not_reach_it(process: GeneratorProcess) -> None:
    batch_of(process, "UNIFORM", ask())
    assert os.getsid(child_of(os.getpid())) != os.getsid(0)


HEAD = """
import os, sys, time
sys.path.append(sys.argv[1])
from pathlib import Path
from orchestrator.generators.base import Ask
from orchestrator.generators.process import GeneratorProcess
from orchestrator.spec.objectives import Objective
from orchestrator.spec.parameters import RangeParameter
from orchestrator.spec.space import Space
space = Space(parameters=(RangeParameter(name="x", lower=0, upper=1),))
process = GeneratorProcess(space, [Objective(name="LOSS")], log_path=Path(sys.argv[2]))
process.start()
process.ask("UNIFORM", Ask(number=0, count=1, seed=1))
while process.poll() is None:
    time.sleep(0.01)
if sys.argv[3] == "busy":
    process.ask("UNIFORM", Ask(number=1, count=2_000_000, seed=1))
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_it_dies_with_the_head(log: Path, state: str) -> None:
    command = [sys.executable, "-I", "-c", HEAD, str(ROOT), str(log), state]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as head:
        assert head.stdout is not None
        assert head.stdout.readline() == b"ready\n"
        child = child_of(head.pid)
        time.sleep(0.3)
        assert runs(child)
        head.send_signal(signal.SIGKILL)
        wait_for_end(child)


@pytest.mark.skipif(find_spec("ax") is not None, reason="the real ax is found before a stand-in")
class TestALibrary:
    """A stand-in for Ax in a folder of its own, as only a library can misbehave."""

    def folder(self, tmp_path: Path, text: str) -> list[str]:
        for name in ("torch", "ax", "ax/adapter"):
            (tmp_path / "lib" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "lib" / name / "__init__.py").touch()
        (tmp_path / "lib/ax/adapter/registry.py").write_text(text)
        return [str(tmp_path / "lib")]

    def results(self) -> list[Observation]:
        return observe(make_generator("UNIFORM", PLANE, ONE).ask(ask(count=3)).points)

    def test_that_prints_does_not_disturb_the_answers(self, log: Path, tmp_path: Path) -> None:
        text = "import os\nprint('hello')\nos.write(1, b'{}\\n')\nos.system('echo child')\n"
        folders = self.folder(tmp_path, text)
        with GeneratorProcess(
            PLANE, ONE, log_path=log, import_folders=folders, warm="BOTORCH_MODULAR"
        ) as process:
            assert batch_of(process, "UNIFORM", ask()).points
        assert {"{}", "child"} <= set(log.read_text().splitlines())

    def test_that_ends_the_process_is_reported_with_its_last_words(
        self, log: Path, tmp_path: Path
    ) -> None:
        log.write_text("words of an earlier run\n")
        text = "import os\nos.write(2, b'cannot allocate memory\\n\\n')\nos._exit(3)\n"
        folders = self.folder(tmp_path, text)
        with GeneratorProcess(PLANE, ONE, log_path=log, import_folders=folders) as process:
            process.tell(self.results())
            process.ask("BOTORCH_MODULAR", ask())
            error = error_of(answer_of(process))
            assert error.message == "the generator process ended with exit code 3"
            assert error.hint == "Its last words: cannot allocate memory"
            assert batch_of(process, "UNIFORM", ask(1)).points

    def test_that_raises_anything_is_reported_and_the_process_lives_on(
        self, log: Path, tmp_path: Path
    ) -> None:
        folders = self.folder(tmp_path, "raise ZeroDivisionError('inside')\n")
        with GeneratorProcess(
            PLANE, ONE, log_path=log, import_folders=folders, warm="BOTORCH_MODULAR"
        ) as process:
            process.tell(self.results())
            process.ask("BOTORCH_MODULAR", ask())
            assert "ZeroDivisionError: inside" in str(error_of(answer_of(process)))
            assert batch_of(process, "UNIFORM", ask(1)).points
        assert "Traceback" in log.read_text()

    def test_a_model_that_is_not_installed_is_an_answer(self, process: GeneratorProcess) -> None:
        process.tell(self.results())
        process.ask("BOTORCH_MODULAR", ask())
        assert "headway[botorch]" in str(error_of(answer_of(process)))


def test_folders_of_the_user_are_never_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    for name in ("orchestrator", "numpy", "optuna"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    space = Space(parameters=(RangeParameter(name="x", lower=0, upper=1),))
    with GeneratorProcess(space, ONE, log_path=log, warm="TPE") as process:
        assert batch_of(process, "TPE", ask()).points
