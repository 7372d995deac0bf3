"""The values a parameter can have, and how a word of the command line becomes one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal

Value = int | float | str | bool
Point = dict[str, Value]
ValueType = Literal["int", "float", "str", "bool"]
VALUE_TYPES: tuple[ValueType, ...] = ("int", "float", "str", "bool")

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NATURALS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
# Databases and JavaScript keep whole numbers exact up to here (IEEE 754 double).
_LARGEST_EXACT = 2**53
_MOST_DIGITS = 30  # Python takes its time over the digits of very long numbers


def typed(value: Value, value_type: ValueType) -> Value:
    """Return `value` as exactly the Python type that `value_type` names.

    Raises:
        ValueError: It is not such a value; nothing is ever rounded.
    """
    if value_type == "str" and isinstance(value, str):
        return value
    if value_type == "bool" and isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value_type == "float" and math.isfinite(number := _as_float(value)):
            return number
        if value_type == "int" and math.isfinite(value) and value == int(value):
            return _exact(int(value))
    raise ValueError(f"{value!r} is not {_NATURALS[value_type]}")


def read_value(text: str, value_type: ValueType) -> Value:
    """Read one word of the command line as a value of a type.

    Raises:
        ValueError: The word is not such a value; the text says what was expected.
    """
    word = text.strip()
    if value_type == "str":
        return text
    if value_type == "bool" and word.lower() in {"true", "false"}:
        return word.lower() == "true"
    if (
        value_type == "int"
        and re.fullmatch(r"[+-]?\d+", word, re.ASCII)
        and len(word) < _MOST_DIGITS
    ):
        return _exact(int(word))
    if value_type in {"int", "float"} and _NUMBER.fullmatch(word):
        number = float(word)
        if math.isfinite(number) and (value_type == "float" or number.is_integer()):
            return typed(number, value_type)
    raise ValueError(f"{text!r} is not {_NATURALS[value_type]}")


def natural_type(texts: Iterable[str]) -> ValueType:
    """Guess the type of a list of words: int, else float, else str.

    A word counts as a number only if the program would see the same number: `007` stays text,
    since as a number it would reach the program as `7`.
    """
    words = list(texts)
    if all(_is_plain_int(word) for word in words):
        return "int"
    if all(_is_plain_float(word) for word in words):
        return "float"
    return "str"


def _is_plain_int(word: str) -> bool:
    plain = re.fullmatch(r"-?(0|[1-9]\d*)", word, re.ASCII) is not None and word != "-0"
    return plain and len(word) < _MOST_DIGITS and abs(int(word)) <= _LARGEST_EXACT


def _is_plain_float(word: str) -> bool:
    zero_first = re.match(r"[+-]?0\d", word) is not None
    return bool(_NUMBER.fullmatch(word)) and not zero_first and math.isfinite(float(word))


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _exact(value: int) -> int:
    if abs(value) > _LARGEST_EXACT:
        raise ValueError(f"{value} is beyond 2**53, where whole numbers stop being exact")
    return value
