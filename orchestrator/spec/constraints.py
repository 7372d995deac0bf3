"""Constraints: comparisons that every point has to meet.

Linear ones are kept as `sum(coefficient * parameter) <= bound` as well, the form that models
understand. Every constraint is checked on each candidate as the user wrote it, `<` and `<=` told
apart. Ax takes linear constraints only over range parameters without a log scale; a generator
hands it those and checks the others on its candidates.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestrator.errors import UsageError, did_you_mean
from orchestrator.spec import expressions
from orchestrator.spec.expressions import ExpressionError
from orchestrator.spec.frozen import Frozen
from orchestrator.spec.parameters import (
    ChoiceParameter,
    FixedParameter,
    Parameter,
    RangeParameter,
)
from orchestrator.spec.values import Value

OPTION = "--experiment_constraints"


class Constraint(Frozen):
    """One comparison.

    Attributes:
        text: As the user wrote it.
        coefficients: Linear ones: the factor of each parameter in it.
        bound: Linear ones: what the sum of factor times parameter must not exceed.
    """

    text: str
    coefficients: dict[str, float] | None = None
    bound: float | None = None

    def holds(self, point: Mapping[str, Value]) -> bool:
        """Whether it is true of a point; `<=`, `>=` and `==` forgive rounding (1e-9, relative)."""
        return expressions.holds(expressions.parse(self.text), point)

    def names(self) -> list[str]:
        """The parameters it speaks of."""
        return expressions.names(expressions.parse(self.text))


class _Linear(NamedTuple):
    """`sum(factors * parameters) + constant`."""

    factors: dict[str, float]
    constant: float

    def plus(self, other: _Linear, scale: float) -> _Linear:
        names = [*self.factors, *(name for name in other.factors if name not in self.factors)]
        factors = {
            name: self.factors.get(name, 0.0) + scale * other.factors.get(name, 0.0)
            for name in names
        }
        return _Linear(factors, self.constant + scale * other.constant)

    def times(self, scale: float) -> _Linear:
        return _Linear({}, 0.0).plus(self, scale)


def split_constraints(text: str) -> list[str]:
    """Cut a text into constraints: one a line, or several separated by `;`."""
    return [part.strip() for part in re.split(r"[;\n]", text) if part.strip()]


def parse_constraint(text: str, parameters: Sequence[Parameter]) -> Constraint:
    """Read one constraint.

    Args:
        text: For example `20*a >= 100` or `sqrt(a) + b*c < 7`.
        parameters: All parameters of the space.

    Raises:
        UsageError: It cannot be read, names something unknown, or can never hold.
    """
    known = {parameter.name: parameter for parameter in parameters}
    where = f"{OPTION}: {text.strip()!r}"
    try:
        tree = expressions.parse(text)
        for name in expressions.names(tree):
            if name not in known:
                allowed = f"the parameters are {', '.join(known)}."
                hint = did_you_mean(name, known)
                raise UsageError(f"{where} names {name!r}, but {allowed}", hint)
        _check_kinds(tree, known)
        linear = _normalize(tree, known)
    except ExpressionError as error:
        raise UsageError(f"{where}: {error}") from None
    if all(isinstance(known[name], FixedParameter) for name in expressions.names(tree)):
        raise UsageError(f"{where} compares constants only; name a parameter that varies")
    if linear is None:
        return Constraint(text=text.strip())
    bound = -linear.constant + 0.0  # no negative zero
    if _smallest(linear.factors, known) > bound + expressions.TOLERANCE * max(1.0, abs(bound)):
        raise UsageError(f"{where} can never hold within the ranges of its parameters")
    return Constraint(text=text.strip(), coefficients=linear.factors, bound=bound)


def _check_kinds(tree: ast.expr, known: Mapping[str, Parameter]) -> None:
    """Refuse texts where numbers belong, and equalities that chance never meets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp):
            for part in ast.iter_child_nodes(node):
                _check_number(part, known)
        if isinstance(node, ast.Compare):
            _check_comparison(node, known)


def _check_number(node: ast.AST, known: Mapping[str, Parameter]) -> None:
    match node:
        case ast.Constant(value=str()):
            raise ExpressionError(f"{expressions.show(node)} is a text, nothing to calculate with")
        case ast.Name() if (name := expressions.name_of(node)) in known:
            if known[name].value_type == "str":
                raise ExpressionError(f"{name!r} is a text, nothing to calculate with")


def _check_comparison(node: ast.Compare, known: Mapping[str, Parameter]) -> None:
    sides = [node.left, *node.comparators]
    texts = [_is_text(side, known) for side in sides]
    equal = all(isinstance(sign, ast.Eq | ast.NotEq) for sign in node.ops)
    if any(texts) and not (all(texts) and equal):
        raise ExpressionError("a text can only be compared with a text, by == or !=")
    if any(isinstance(sign, ast.Eq) for sign in node.ops):
        for name in expressions.names(node):
            parameter = known[name]
            if isinstance(parameter, RangeParameter) and parameter.value_type == "float":
                raise ExpressionError(
                    f"chance never makes a float such as {name!r} equal to something; use <= or >="
                )


def _is_text(node: ast.expr, known: Mapping[str, Parameter]) -> bool:
    match node:
        case ast.Constant(value=value):
            return isinstance(value, str)
        case ast.Name():
            return known[expressions.name_of(node)].value_type == "str"
        case _:
            return False


def _normalize(tree: ast.expr, known: Mapping[str, Parameter]) -> _Linear | None:
    """Bring `left <= right` to `factors * parameters + constant <= 0`; None if not linear."""
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
        return None
    left, right = _linear(tree.left, known), _linear(tree.comparators[0], known)
    if left is None or right is None:
        return None
    match tree.ops[0]:
        case ast.LtE() | ast.Lt():
            form = left.plus(right, -1.0)
        case ast.GtE() | ast.Gt():
            form = right.plus(left, -1.0)
        case _:
            return None
    factors = {name: factor for name, factor in form.factors.items() if factor}
    finite = all(math.isfinite(number) for number in (*factors.values(), form.constant))
    return _Linear(factors, form.constant) if factors and finite else None


def _linear(node: ast.expr, known: Mapping[str, Parameter]) -> _Linear | None:
    match node:
        case ast.Constant(value=int() | float() as value):
            return _Linear({}, float(value))
        case ast.Name():
            return _linear_name(expressions.name_of(node), known)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=part):
            inner = _linear(part, known)
            return inner and inner.times(-1.0 if isinstance(sign, ast.USub) else 1.0)
        case ast.BinOp(left=first, op=op, right=second):
            left, right = _linear(first, known), _linear(second, known)
            return _combine(op, left, right) if left and right else None
        case _:
            return None


def _linear_name(name: str, known: Mapping[str, Parameter]) -> _Linear | None:
    match known[name]:
        case FixedParameter(value=bool() | str()):
            return None
        case FixedParameter(value=value):
            return _Linear({}, float(value))
        case parameter if parameter.value_type in {"int", "float"}:
            return _Linear({name: 1.0}, 0.0)
        case _:
            return None


def _combine(op: ast.operator, left: _Linear, right: _Linear) -> _Linear | None:
    match op:
        case ast.Add():
            return left.plus(right, 1.0)
        case ast.Sub():
            return left.plus(right, -1.0)
        case ast.Mult() if not left.factors:
            return right.times(left.constant)
        case ast.Mult() if not right.factors:
            return left.times(right.constant)
        case ast.Div() if not right.factors and right.constant:
            return left.times(1.0 / right.constant)
        case _:
            return None


def _smallest(factors: Mapping[str, float], known: Mapping[str, Parameter]) -> float:
    """The smallest value that the left-hand side can have."""
    total = 0.0
    for name, factor in factors.items():
        low, high = limits(known[name])
        total += min(factor * low, factor * high)
    return total


def limits(parameter: Parameter) -> tuple[float, float]:
    """The smallest and the largest value of a parameter of numbers."""
    match parameter:
        case RangeParameter(lower=lower, upper=upper):
            return float(lower), float(upper)
        case ChoiceParameter(choices=choices):
            numbers = [float(choice) for choice in choices]
            return min(numbers), max(numbers)
        case FixedParameter(value=value):
            return float(value), float(value)
