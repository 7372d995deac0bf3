from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.spec.encoding import decode_text


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PRINTABLE = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" \n\t"), min_size=6
).filter(str.strip)


@given(PRINTABLE)
def test_a_text_in_base64_comes_back(text: str) -> None:
    assert decode_text(packed(text)) == text


@given(st.text(min_size=1).filter(lambda text: not text.isascii() or " " in text.strip()))
def test_a_text_that_base64_never_looks_like_stays(text: str) -> None:
    assert decode_text(text) == text


@pytest.mark.parametrize(
    "word",
    ["true", "sleep", "echo1234", "date", "make", "python", "a+b<=1", "./run.sh", "ls", "", "abcd"],
)
def test_a_plain_word_stays_though_it_may_be_base64_by_its_letters(word: str) -> None:
    assert decode_text(word) == word


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("MjAqaW50X3BhcmFtID49IDEwMAo=", "20*int_param >= 100\n"),
        ("bHM=", "ls"),
        ("  bHM=\n", "ls"),
        ("MjAqaW50X3BhcmFtID49IDEwMAo", "MjAqaW50X3BhcmFtID49IDEwMAo"),
        ("MjAqaW50X3BhcmFtID49IDEwMAp=", "MjAqaW50X3BhcmFtID49IDEwMAp="),
    ],
)
def test_only_strict_base64_is_decoded(given_text: str, expected: str) -> None:
    assert decode_text(given_text) == expected


def test_lines_as_base64_wraps_them_are_understood() -> None:
    text = "./program --x='%(x)' # " + "0123456789" * 20
    wrapped = base64.encodebytes(text.encode()).decode()

    assert "\n" in wrapped.strip()
    assert decode_text(wrapped) == text
    assert decode_text(" ".join(wrapped.split())) == text


def test_what_decodes_to_something_unreadable_stays() -> None:
    word = base64.b64encode(bytes(range(12))).decode()

    assert decode_text(word) == word
