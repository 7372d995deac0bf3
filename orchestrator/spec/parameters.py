"""Parameters of a space: range, choice and fixed, and OmniOpt2's way of writing them.

The syntax is that of OmniOpt2's `--parameter`:

    NAME range LOW HIGH [int|float] [LOG true|false]
    NAME choice A,B,C [int|float|str|bool]
    NAME fixed VALUE [int|float|str|bool]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from orchestrator.errors import UsageError, did_you_mean
from orchestrator.spec.frozen import Frozen, usage_error
from orchestrator.spec.limits import LONGEST_NAME
from orchestrator.spec.values import (
    VALUE_TYPES,
    Value,
    ValueType,
    natural_type,
    read_value,
    typed,
)

OPTION = "--parameter"
KINDS = ("range", "choice", "fixed")


class _Named(Frozen):
    """What every parameter has.

    Attributes:
        name: As the program's text uses it; also part of an environment variable's name.
        value_type: Type of its values.
    """

    name: str
    value_type: ValueType

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or len(name) > LONGEST_NAME:
            raise ValueError(
                f"{name!r} is not a name: letters, digits and _ only, not a digit first, "
                f"at most {LONGEST_NAME} characters"
            )
        return name


class RangeParameter(_Named):
    """Every number from `lower` to `upper`, both included.

    Attributes:
        log_scale: Whether the search treats equal ratios alike instead of equal differences.
    """

    kind: Literal["range"] = "range"
    value_type: Literal["int", "float"] = "float"
    lower: int | float
    upper: int | float
    log_scale: bool = False

    @field_validator("lower", "upper")
    @classmethod
    def _has_the_type(cls, bound: float, info: ValidationInfo) -> Value:
        return typed(bound, info.data.get("value_type", "float"))

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.lower >= self.upper:
            raise ValueError(f"the range {self.lower} to {self.upper} must go from low to high")
        if self.log_scale and self.lower <= 0:
            raise ValueError(f"a log scale needs a lower end above 0, not {self.lower}")
        return self

    def contains(self, value: Value) -> bool:
        """Whether `value` is of the right type and within the range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.value_type == "int" and not isinstance(value, int):
            return False
        return self.lower <= value <= self.upper


class ChoiceParameter(_Named):
    """One of a list of values.

    Attributes:
        choices: The values, all different and of one type.
        is_ordered: Whether neighbours in the list are more alike than others.
    """

    kind: Literal["choice"] = "choice"
    choices: tuple[Value, ...] = Field(min_length=1)
    is_ordered: bool = False

    @field_validator("choices")
    @classmethod
    def _have_the_type(cls, choices: tuple[Value, ...], info: ValidationInfo) -> tuple[Value, ...]:
        values = tuple(typed(choice, info.data.get("value_type", "str")) for choice in choices)
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"the choice {value!r} is there twice")
        return values

    def contains(self, value: Value) -> bool:
        """Whether `value` is one of the choices, type included."""
        return any(value == choice and type(value) is type(choice) for choice in self.choices)


class FixedParameter(_Named):
    """One value that never changes; it saves editing the program's text.

    Attributes:
        value: The value.
    """

    kind: Literal["fixed"] = "fixed"
    value: Value

    @field_validator("value")
    @classmethod
    def _has_the_type(cls, value: Value, info: ValidationInfo) -> Value:
        return typed(value, info.data.get("value_type", "str"))

    def contains(self, value: Value) -> bool:
        """Whether `value` is the one value, type included."""
        return value == self.value and type(value) is type(self.value)


Parameter = Annotated[
    RangeParameter | ChoiceParameter | FixedParameter, Field(discriminator="kind")
]
_ADAPTER: TypeAdapter[RangeParameter | ChoiceParameter | FixedParameter] = TypeAdapter(Parameter)


def parse_parameter(words: Sequence[str]) -> Parameter:
    """Read one `--parameter`.

    Args:
        words: The words after the option, e.g. `["lr", "range", "1e-5", "1", "float", "true"]`.

    Raises:
        UsageError: It names the parameter, what was given and what is allowed.
    """
    if len(words) < 2:  # noqa: PLR2004
        given = " ".join(words)
        raise UsageError(f"{OPTION}: {given!r} is too short; {_SYNTAX}")
    name, kind, *rest = words
    read = {"range": _read_range, "choice": _read_choice, "fixed": _read_fixed}.get(kind.lower())
    where = f"{OPTION} {' '.join(name.split())}"
    if read is None:
        hint = did_you_mean(kind, KINDS)
        raise UsageError(f"{where}: {kind!r} is not one of {', '.join(KINDS)}.", hint)
    try:
        return _ADAPTER.validate_python({"kind": kind.lower(), "name": name, **read(rest)})
    except ValidationError as error:
        raise usage_error(where, error) from None
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


_SYNTAX = (
    "give NAME range LOW HIGH [int|float] [LOG true|false], NAME choice A,B,C or NAME fixed VALUE"
)


def _read_range(words: Sequence[str]) -> dict[str, Any]:
    if len(words) < 2:  # noqa: PLR2004
        raise ValueError("a range needs LOW and HIGH, for example range 0 10 int")
    options = [word.lower() for word in words[2:]]
    value_type = "float"
    if options and options[0] in VALUE_TYPES:
        value_type = options.pop(0)
    if value_type not in {"int", "float"}:
        raise ValueError(f"a range is of type int or float, not {value_type}")
    number: ValueType = "int" if value_type == "int" else "float"
    return {
        "value_type": number,
        "lower": read_value(words[0], number),
        "upper": read_value(words[1], number),
        "log_scale": _read_log_scale(options),
    }


def _read_log_scale(words: Sequence[str]) -> bool:
    """Read what follows a range's type: nothing, `true`, `log`, `LOG true`, `log_scale=true`."""
    given = " ".join(words)
    plain = re.fullmatch(r"(?:(log|log_scale|logscale)[=: ]?)?(true|false)?", given)
    if plain is None:
        raise ValueError(f"{given!r} after the range is not understood; {_SYNTAX}")
    return bool(given) and plain[2] != "false"


def _read_choice(words: Sequence[str]) -> dict[str, Any]:
    if not words:
        raise ValueError("a choice needs its values, separated by commas, for example choice a,b,c")
    texts = [text.strip() for text in words[0].split(",")]
    if not all(texts):
        raise ValueError(f"{words[0]!r} has an empty value between its commas")
    value_type = _read_type(words[1:]) or natural_type(texts)
    values = [read_value(text, value_type) for text in texts]
    is_ordered = value_type in {"int", "float"}
    # Numbers are sorted, so that neighbours in the list are neighbours in value.
    choices = sorted(values, key=float) if is_ordered else values
    return {"value_type": value_type, "choices": tuple(choices), "is_ordered": is_ordered}


def _read_fixed(words: Sequence[str]) -> dict[str, Any]:
    if not words:
        raise ValueError("a fixed parameter needs its value, for example fixed 5")
    value_type = _read_type(words[1:]) or natural_type(words[:1])
    return {"value_type": value_type, "value": read_value(words[0], value_type)}


def _read_type(words: Sequence[str]) -> ValueType | None:
    if not words:
        return None
    for value_type in VALUE_TYPES:
        if [word.lower() for word in words] == [value_type]:
            return value_type
    given = " ".join(words)
    raise ValueError(
        f"{given!r} is not a type: {', '.join(VALUE_TYPES)} (quote values that hold spaces)"
    )
