"""The table of patterns, on messages as programs and Slurm have written them."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.states import FailureClass
from orchestrator.health import patterns
from orchestrator.health.patterns import (
    JOB_TABLE,
    NEAR_THE_END,
    TABLE,
    find_named,
    find_pattern,
    find_slurms_word,
)

_LINES = Path(__file__).with_name("messages.txt").read_text(encoding="utf-8").splitlines()


def _sections() -> dict[str, list[str]]:
    """The messages of the file under the name of their pattern."""
    found: dict[str, list[str]] = {}
    for line in _LINES:
        if heading := re.fullmatch(r"\[([a-z-]+).*\]", line):
            lines = found.setdefault(heading[1], [])
        elif line and found:
            lines.append(line)
    return found


MESSAGES = _sections()
HARMLESS = MESSAGES.pop("none")
JOB_MESSAGES = {pattern.name: MESSAGES[pattern.name] for pattern in JOB_TABLE}
OF_TABLE = {pattern.name: MESSAGES[pattern.name] for pattern in TABLE}
ALL = [(name, line) for name, lines in OF_TABLE.items() for line in lines]
ALL_OF_JOBS = [(name, line) for name, lines in JOB_MESSAGES.items() for line in lines]


@pytest.mark.parametrize(("name", "line"), ALL)
def test_a_message_is_known(name: str, line: str) -> None:
    found = find_pattern(f"epoch 1\n{line}\nslurm has ended the step\n")
    assert found is not None
    assert (found[0].name, found[1]) == (name, line.strip())


@pytest.mark.parametrize(("name", "line"), ALL_OF_JOBS)
def test_slurms_own_word_on_a_job_is_known(name: str, line: str) -> None:
    found = find_slurms_word(f"epoch 1\n{line}\n")
    assert found is not None
    assert found[0].name == name


@pytest.mark.parametrize("line", HARMLESS)
def test_what_is_the_programs_own_affair_fits_nothing(line: str) -> None:
    assert find_pattern(line) is None
    assert find_slurms_word(line) is None


def test_every_pattern_has_real_messages_and_words_for_the_user() -> None:
    assert OF_TABLE.keys() | JOB_MESSAGES.keys() == MESSAGES.keys()
    for pattern in (*TABLE, *JOB_TABLE):
        assert find_named(pattern.name) is pattern
        assert not pattern.says.endswith(".")
        assert pattern.remedy.endswith(".")
        assert re.fullmatch("[a-z-]{1,20}", pattern.name)


def alternatives(regex: str) -> list[str]:
    """The parts of a regular expression between the bars that are in no bracket."""
    depth, parts = 0, [""]
    for piece in re.findall(r"\\.|\[[^]]*\]|.", regex):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def test_each_alternative_of_a_pattern_has_a_message_of_its_own() -> None:
    """What no message shows to be right may be wrong, and nobody would notice."""
    for pattern in TABLE:
        lines = MESSAGES[pattern.name]
        unshown = [
            part
            for part in alternatives(pattern.regex)
            if not any(re.search(part, line) for line in lines)
        ]
        assert unshown == [], pattern.name


def test_the_version_tells_the_tables_apart() -> None:
    rows = [
        (p.name, p.regex, str(p.failure), p.is_host, p.needs_gpus, p.is_echo, p.signals)
        for p in (*TABLE, *JOB_TABLE)
    ]
    text = "\n".join(map(repr, rows))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert (patterns.VERSION, digest) == (1, "4fa05d5618bda9af"), (
        "raise VERSION, and write down the new digest"
    )


def test_the_last_message_counts() -> None:
    first, second = MESSAGES["disk-full"][0], MESSAGES["gpu-memory"][0]
    for lines, name in ((f"{first}\n{second}", "gpu-memory"), (f"{second}\n{first}", "disk-full")):
        found = find_pattern(lines)
        assert found is not None
        assert found[0].name == name


@pytest.mark.parametrize("name", ["nccl", "network", "no-command"])
def test_what_another_failure_entails_counts_only_alone(name: str) -> None:
    echo, cause = MESSAGES[name][0], MESSAGES["gpu-memory"][0]
    found = find_pattern(f"{cause}\n{echo}\n{echo}\n")
    assert found is not None
    assert found[0].name == "gpu-memory"


def test_a_warning_about_gpus_says_nothing_of_a_trial_without_any() -> None:
    for pattern in TABLE:
        log = MESSAGES[pattern.name][0]
        assert (find_pattern(log, has_gpus=False) is None) == pattern.needs_gpus


def test_what_stands_far_above_the_end_was_survived() -> None:
    log = f"{MESSAGES['gpu-memory'][0]}\n" + "epoch\n" * (NEAR_THE_END // 6)
    assert find_pattern(log) is None


def test_colours_and_progress_bars_hide_nothing() -> None:
    log = "  5%|=>   |\r 10%|==>  |\r\x1b[31mMemoryError\x1b[0m\n"
    found = find_pattern(log)
    assert found is not None
    assert (found[0].name, found[1]) == ("host-memory", "MemoryError")


def test_only_hardware_and_launches_are_said_to_be_the_nodes_fault() -> None:
    """Such a failure is tried again without being the program's try: few texts may do that."""
    kinds = {p.name for p in TABLE if p.failure == FailureClass.NODE}
    assert kinds == {"gpu-ecc", "gpu-lost", "gpu-driver", "stale-file", "launch"}
    assert all(pattern.is_host for pattern in TABLE if pattern.failure == FailureClass.NODE)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_can_be_searched(text: str) -> None:
    for found in (find_pattern(text), find_slurms_word(text)):
        assert found is None or found[1] in text.strip() or "\x1b" in text


@pytest.mark.parametrize("piece", ["/", "NCCL error ", "srun: ", "Errno 107] ", "ibv_a", "x", "\r"])
def test_a_log_that_is_one_long_line_is_searched_in_no_time(piece: str) -> None:
    began = time.perf_counter()
    find_pattern(piece * (200_000 // len(piece)))
    assert time.perf_counter() - began < 30
