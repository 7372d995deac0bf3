"""Lists of hosts in Slurm's short form."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.spec.hostlists import expand_hosts
from orchestrator.spec.resources import Resources

WORDS = st.text(alphabet="node[]0123456789,-. ", max_size=20)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node1", ["node1"]),
        ("node1, node2 ,", ["node1", "node2"]),
        ("node[1-3,7],login", ["node1", "node2", "node3", "node7", "login"]),
        ("n[08-11]", ["n08", "n09", "n10", "n11"]),
        ("n[8-11]", ["n8", "n9", "n10", "n11"]),
        ("rack[1-2]n[01-02].site", [f"rack{r}n0{n}.site" for r in (1, 2) for n in (1, 2)]),
        ("n1,n[1-2]", ["n1", "n2"]),
        ("", []),
    ],
)
def test_a_list_becomes_its_names(text: str, names: list[str]) -> None:
    assert list(expand_hosts([text])) == names
    assert list(Resources(exclude=(text,)).exclude) == names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("node[1-", "'node[1-' is not a host or a list of hosts such as node[1-3,7]"),
        ("a b", "'a b' is not a host"),
        ("n[]", "is not a host"),
        ("n[3-1]", "the range 3-1 ends before it begins"),
        ("n[1-2-3]", "'1-2-3' is not a number or a range"),
        ("n[1-99999999999]", "more than 100000 hosts"),
        ("n[1-1000]m[1-1000]", "more than 100000 hosts"),
    ],
)
def test_what_is_no_list_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        expand_hosts([text])
    assert why in str(raised.value)


@given(WORDS)
def test_whatever_is_typed_is_read_or_refused_at_once(text: str) -> None:
    began = time.monotonic()
    try:
        names = expand_hosts([text])
    except ValueError:
        names = ()
    assert not [name for name in names if not name or {"[", "]", ",", " "} & set(name)]
    assert time.monotonic() - began < 20
