from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.protocol import MAX_LINE, Protocol


def read(output: bytes, *objectives: str) -> Protocol:
    protocol = Protocol(objectives or ("RESULT",))
    protocol.feed(output)
    protocol.close()
    return protocol


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"RESULT: 1.5e-3", 0.0015),
        (b"RESULT: -7", -7.0),
        (b"RESULT:+.5", 0.5),
        (b"RESULT: 1E5\r", 1e5),
        (b"RESULT:\t 3. ", 3.0),
    ],
)
def test_a_number_is_read(line: bytes, value: float) -> None:
    for output in (line, line + b"\n", b"x\n" + line + b"\ny"):
        assert read(output).results == {"RESULT": value}


@pytest.mark.parametrize(
    "line",
    [
        *(b"TEST_RESULT: 1", b"result: 1", b" RESULT: 1", b"RESULT 1", b"xRESULT: 1"),
        *(b"RESULT2: 1", b"SEM-RESULT2: 1"),
    ],
)
def test_another_line_is_not_a_result(line: bytes) -> None:
    protocol = read(line)
    assert (protocol.results, protocol.problems) == ({}, [])


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-inf", "1e999", "", "1_000", "1,5", "0x10", "1 2", "abc", "٣", "\0"]
)
def test_what_is_no_finite_number_is_a_problem_and_no_result(value: str) -> None:
    protocol = read(f"RESULT: 2\nRESULT: {value}\n".encode())
    assert protocol.results == {}
    (problem,) = protocol.problems
    assert problem.startswith("RESULT: ")


def test_the_last_line_counts_and_heals() -> None:
    protocol = read(b"RESULT: nan\nRESULT: 1\nRESULT: 2\n")
    assert (protocol.results, protocol.problems) == ({"RESULT": 2.0}, [])


def test_each_objective_has_its_own_line() -> None:
    protocol = read(b"b: 2\nloss: 1\nSEM-loss: 0.1\nSEM-b: -1\n", "loss", "b")
    assert protocol.results == {"loss": 1.0, "b": 2.0}
    assert protocol.sems == {"loss": 0.1}
    assert protocol.problems == ["SEM-b: -1 is negative"]


def test_metrics_are_read_with_their_options() -> None:
    protocol = read(
        b"METRIC: loss=0.31 step=5 split=VALIDATION level=BATCH\n"
        b"METRIC: a=nan\nMETRIC: b=1 step=2\nMETRIC: c\nMETRIC: d=1 step=x\n"
    )
    known = [{k: v for k, v in metric.items() if k != "at"} for metric in protocol.metrics]
    assert known == [
        {"name": "loss", "value": 0.31, "split": "VALIDATION", "level": "BATCH", "step": 5},
        {"name": "a", "value": None, "split": "TRAIN", "level": "LAST", "step": None},
        {"name": "b", "value": 1.0, "split": "TRAIN", "level": "STEP", "step": 2},
        {"name": "d", "value": 1.0, "split": "TRAIN", "level": "STEP", "step": None},
    ]
    assert len(protocol.problems) == 2


def test_infos_and_artifacts_are_collected() -> None:
    protocol = read(b"OO-Info: a: 1\nOO-Info: a: 2: 3\nOO-Info: b\nARTIFACT: m.pt best\n")
    assert protocol.infos == {"a": "2: 3"}
    assert protocol.artifacts == ["m.pt best"]
    assert protocol.problems == ["OO-Info: 'b' is not NAME: VALUE"]


PIECES = st.sampled_from(
    (
        *(b"RESULT: 1\n", b"RESULT: nan\r\n", b"SEM-RESULT: 2\n", b"RESULT: ", b"3", b"\n"),
        *(b"METRIC: a=1\n", b"OO-Info: k: v\n", b"junk", b"\0\xff"),
    )
)


@given(pieces=st.lists(PIECES, max_size=20), data=st.data())
def test_chunks_may_end_anywhere(pieces: list[bytes], data: st.DataObject) -> None:
    output = b"".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(output)), max_size=6).map(sorted))
    protocol = Protocol(["RESULT"])
    for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True):
        protocol.feed(output[start:end])
    protocol.close()
    whole = read(output)
    assert (protocol.results, protocol.sems) == (whole.results, whole.sems)
    assert (protocol.problems, protocol.infos) == (whole.problems, whole.infos)
    assert len(protocol.metrics) == len(whole.metrics)


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_printed_float_comes_back_exactly(value: float) -> None:
    result = read(f"RESULT: {value!r}\n".encode()).results["RESULT"]
    assert result == value
    assert math.copysign(1, result) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("given", "step"),
    [("-5", -5), ("+5", 5), ("--5", None), ("+-5", None), ("-", None), ("", None), ("²", None)],
)
def test_a_step_that_is_no_number_is_a_problem_and_no_crash(given: str, step: int | None) -> None:
    protocol = read(f"METRIC: a=1 step={given}\nRESULT: 1\n".encode())
    assert [metric["step"] for metric in protocol.metrics] == [step]
    assert protocol.results == {"RESULT": 1.0}
    assert len(protocol.problems) == (step is None)


def test_problems_are_told_in_few_words_however_long_their_lines_are() -> None:
    long = b"\xff" * (MAX_LINE - 100)
    lines = [b"METRIC: a=1 x%d=%b\n" % (number, long) for number in range(30)]
    lines += [b"RESULT: -%b\n" % (b"9" * (MAX_LINE - 100))]
    assert sum(map(len, read(b"".join(lines)).problems)) < 10_000


def test_a_line_without_end_is_forgotten_and_the_next_one_read() -> None:
    protocol = Protocol(["RESULT"])
    for _ in range(100):
        protocol.feed(b"x" * MAX_LINE)
    protocol.feed(b"RESULT: 1\nRESULT: 2\n")
    assert (protocol.results, protocol.problems) == ({"RESULT": 2.0}, [])


def test_an_endless_result_is_a_problem() -> None:
    protocol = read(b"RESULT: " + b"1" * 2 * MAX_LINE)
    assert protocol.results == {}
    assert "longer than" in protocol.problems[0]


def test_a_gigabyte_takes_seconds() -> None:
    protocol = Protocol(["RESULT"])
    chunk = b"epoch 3 batch 17: loss 0.1234, accuracy 0.9876\n" * 1400
    started = time.process_time()
    for _ in range(100 * 1024 * 1024 // len(chunk)):
        protocol.feed(chunk)
    assert time.process_time() - started < 2
