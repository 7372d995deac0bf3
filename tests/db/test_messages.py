"""What a worker's message must look like: everything that the head uses is checked before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.messages import BadMessageError, read_heartbeat, read_message, read_payload
from db.states import ReportKind
from tests.health.payloads import end

AT = "2030-01-02T03:04:05.678901+00:00"
METRIC = {"name": "m", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": AT}
CLAIM = {"claim": "c", "host": "node1", "slurm_job_id": None, "pid": 1, "started_at": AT}
MESSAGE = {
    "attempt_id": 7,
    "attempt_token": "a7",
    "kind": "END",
    "sequence": 0,
    "created_at": AT,
    "payload": dict(end()),
}
GOOD: dict[str, dict[str, Any]] = {
    "START": CLAIM,
    "METRIC": {"metrics": [METRIC]},
    "END": dict(end()),
}


@pytest.mark.parametrize("kind", ReportKind)
def test_a_good_payload_stays_as_it_is(kind: ReportKind) -> None:
    assert read_payload(kind, GOOD[kind]) == GOOD[kind]
    more = GOOD[kind] | {"of a newer Headway": [1, {"x": None}]}
    assert read_payload(kind, more) == more


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        *(("START", key) for key in ("claim", "host")),
        ("METRIC", "metrics"),
        *(("END", key) for key in dict(end()) if key not in {"slurm_job_id", "tail"}),
    ],
)
def test_what_the_head_needs_must_be_there_and_of_its_type(kind: str, key: str) -> None:
    for value in ("\x00wrong", [1], {"x": {"y": 1}}, True, 2**70):
        if not (isinstance(value, str) and key in {"claim", "host"}):
            with pytest.raises(BadMessageError, match=f"^{key} is not "):
                read_payload(kind, GOOD[kind] | {key: value})
    less = {name: value for name, value in GOOD[kind].items() if name != key}
    if key not in {"exit_code", "signal"}:
        with pytest.raises(BadMessageError, match=f"^{key} is missing: it must be "):
            read_payload(kind, less)


@pytest.mark.parametrize(
    "changes",
    [
        {"results": {"LOSS": "nan"}},
        {"results": {"LOSS": True}},
        {"results": {"LOSS": 10**400}},
        {"results": {"LOSS": float("inf")}},
        {"sems": {"LOSS": None}},
        {"infos": {"x": 1}},
        {"artifacts": [{"name": "m", "path": "/m", "bytes": -1}]},
        {"problems": [1]},
        {"exit_code": 2**40},
        {"started_at": "2030-01-02T03:04:05"},
        {"ended_at": "0001-01-01T00:00:00+23:00"},
        {"measured": {"wall_seconds": 1.0}},
        {"measured": {"wall_seconds": 1.0, "peak_memory_bytes": 1, "x": float("nan")}},
        {"host": "h" * 256},
        {"array_index": 1.5},
        {"told_by": "SIGTERM"},
        {"is_unfit": 1},
        {"more": json.loads("[" * 100 + "]" * 100)},
    ],
)
def test_an_end_that_cannot_be_used_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadMessageError):
        read_payload("END", GOOD["END"] | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "n" * 101},
        {"value": "0.5"},
        {"split": "train"},
        {"level": None},
        {"step": 2**63},
        {"at": "yesterday"},
        {"at": 5},
    ],
)
def test_a_measurement_that_cannot_be_used_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadMessageError, match="metrics"):
        read_payload("METRIC", {"metrics": [METRIC, METRIC | changes]})


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt_id": True},
        {"attempt_id": 2**31},
        {"attempt_id": -1},
        {"attempt_token": ""},
        {"attempt_token": "../../etc/passwd"},
        {"attempt_token": "t\n"},
        {"attempt_token": "t" * 81},
        {"kind": "OTHER"},
        {"kind": ["END"]},
        {"sequence": -1},
        {"created_at": "now"},
        {"payload": "x"},
        {"payload": []},
    ],
)
def test_a_message_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    assert read_message(MESSAGE) == MESSAGE
    with pytest.raises(BadMessageError):
        read_message(MESSAGE | changes)


def test_characters_that_no_database_stores_are_replaced() -> None:
    payload = GOOD["END"] | {"tail": "a\x00b\udc80c", "infos": {"\x00": "\ud800é"}}
    read = read_payload("END", payload)
    assert read["tail"] == "a\ufffdb\ufffdc"
    assert read["infos"] == {"\ufffd": "\ufffdé"}


def test_a_heartbeat_names_its_attempt() -> None:
    assert read_heartbeat({"attempt_token": "a7", "at": 5}) == "a7"
    with pytest.raises(BadMessageError, match=r"^attempt_token is missing"):
        read_heartbeat({"attempt_id": 7})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(kind=st.sampled_from(ReportKind), key=st.text(), value=JSON)
def test_whatever_comes_is_read_or_refused(kind: ReportKind, key: str, value: Any) -> None:
    for payload in (
        value,
        GOOD[kind] | {key: value},
        *({**GOOD[kind], k: value} for k in GOOD[kind]),
    ):
        try:
            read = read_payload(kind, payload)
        except BadMessageError:
            continue
        json.dumps(read, allow_nan=False, ensure_ascii=False).encode()
