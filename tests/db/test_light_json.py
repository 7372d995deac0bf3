from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import light_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False).filter(abs),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
).filter(lambda value: "Infinity" not in json.dumps(value))
BAD = ["", "{", '{"a', '{"a":}', "[1,]", "1 2", "NaN", '{"a": Infinity}', '"\n"', "[" * 100_000]


@given(value=VALUES)
def test_it_writes_and_reads_what_the_standard_package_does(value: Any) -> None:
    text = light_json.dumps(value)
    assert text == json.dumps(value)
    assert light_json.loads(f" {text}\n") == value


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reason is the decoder's
        light_json.loads(text)


def test_it_works_where_the_standard_package_was_never_loaded() -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "from db.light_json import dumps, loads\n"
        "assert loads(dumps({'a': [0.1]})) == {'a': [0.1]}\n"
        "assert 'json' not in sys.modules and 're' not in sys.modules\n"
        "for text in ('{', '[1,]', '', 'NaN'):\n"
        "    try: loads(text)\n"
        "    except ValueError: continue\n"
        "    raise SystemExit(text)\n"
    )
    home = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-I", "-S", "-c", code, home], check=True, timeout=20)


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        light_json.dumps(float("nan"))
    with pytest.raises(TypeError):
        light_json.dumps({"a": object()})
