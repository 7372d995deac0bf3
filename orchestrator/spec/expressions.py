"""Comparisons over parameters: read with `ast`, checked against a list of what is allowed.

Nothing is ever handed to `eval`. Numbers are floats throughout, as the comparison of a user on
paper would be; where an expression has no value (a division by zero, the root of a negative
number) the comparison does not hold.
"""

from __future__ import annotations

import ast
import functools
import keyword
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping

from orchestrator.spec.values import Value

Result = float | str | bool

FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "exp": math.exp,
    "floor": math.floor,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "round": round,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "tan": math.tan,
}
ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
}
# Relative to the larger side: models hand back points on a bound with rounding errors.
TOLERANCE = 1e-9
LONGEST = 4000
# `lambda` is a name that people give to a parameter; Python's grammar has its own idea of it.
_KEPT = {"and", "or", "not", "True", "False"}
_KEYWORDS = re.compile(rf"\b({'|'.join(sorted(set(keyword.kwlist) - _KEPT))})\b")
_MARK = "__headway_keyword"


class ExpressionError(ValueError):
    """The text is not a comparison that Headway understands; the text says why."""


def _close(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: lambda left, right: left <= right or _close(left, right),
    ast.Gt: operator.gt,
    ast.GtE: lambda left, right: left >= right or _close(left, right),
    ast.Eq: _close,
    ast.NotEq: lambda left, right: not _close(left, right),
}


def _compare(sign: ast.cmpop, left: Result, right: Result) -> bool:
    if isinstance(left, str) or isinstance(right, str):
        return (left == right) is isinstance(sign, ast.Eq)
    return COMPARISONS[type(sign)](left, right)


@functools.lru_cache(maxsize=256)
def parse(text: str) -> ast.expr:
    """Read a comparison.

    Raises:
        ExpressionError: It is not one expression, or holds something that is not allowed.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"it is longer than {LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python only warns of things such as `1or 2`
            tree = ast.parse(_KEYWORDS.sub(rf"\1{_MARK}", text.strip()), mode="eval").body
    except (SyntaxError, Warning):
        raise ExpressionError(_syntax_advice(text)) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("it cannot be read as an expression") from None
    for node in ast.walk(tree):
        _check_node(node)
    if not _is_yes_or_no(tree):
        raise ExpressionError("it is not a comparison such as 2*a + b <= 10")
    return tree


def _syntax_advice(text: str) -> str:
    if re.search(r"(?<![<>=!])=(?!=)", text):
        return "it holds a single =; write ==, <= or >="
    return "it cannot be read as an expression such as 2*a + b <= 10"


def _check_node(node: ast.AST) -> None:
    """Refuse everything that is not listed here."""
    match node:
        case ast.Constant(value=int() | float() | str() | bool()) | ast.Name() | ast.Compare():
            pass
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            pass
        case ast.BinOp(op=ast.BitXor()):
            raise ExpressionError("^ is not a power; write **")
        case ast.BinOp():
            raise ExpressionError("only + - * / // % and ** calculate; & and | are and, or")
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS and node.args:
            pass
        case ast.Call():
            raise ExpressionError(f"only these functions are known: {', '.join(FUNCTIONS)}")
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not()) | ast.BoolOp():
            pass
        case ast.In() | ast.NotIn() | ast.Is() | ast.IsNot():
            raise ExpressionError("only < <= > >= == and != compare")
        case ast.expr():
            raise ExpressionError(f"it holds {show(node)!r}, which is not allowed")


def _is_yes_or_no(node: ast.expr) -> bool:
    match node:
        case ast.Compare():
            return True
        case ast.BoolOp(values=parts):
            return all(_is_yes_or_no(part) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return _is_yes_or_no(part)
        case _:
            return False


def show(node: ast.AST) -> str:
    """A part of the tree as the user wrote it."""
    return ast.unparse(node).replace(_MARK, "")


def name_of(node: ast.Name) -> str:
    """The parameter that a name in the tree stands for."""
    return node.id.removesuffix(_MARK)


def names(tree: ast.expr) -> list[str]:
    """The names of all parameters in it, each once, in no particular order."""
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in functions]
    return list(dict.fromkeys(name_of(node) for node in found))


def holds(tree: ast.expr, point: Mapping[str, Value]) -> bool:
    """Whether a comparison is true of a point; False where it has no value there.

    Raises:
        KeyError: The point lacks a parameter that the comparison names.
    """
    try:
        return bool(evaluate(tree, point))
    except (ArithmeticError, ValueError, TypeError):
        return False


def evaluate(node: ast.expr, point: Mapping[str, Value]) -> Result:
    """Return the value of an expression at a point."""
    match node:
        case ast.Constant(value=value):
            return _plain(value)
        case ast.Name():
            return _plain(point[name_of(node)])
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return not evaluate(part, point)
        case ast.BoolOp(op=op, values=parts):
            results = (bool(evaluate(part, point)) for part in parts)
            return all(results) if isinstance(op, ast.And) else any(results)
        case ast.Compare(left=first, ops=signs, comparators=others):
            sides = [evaluate(side, point) for side in (first, *others)]
            pairs = zip(signs, sides, sides[1:], strict=False)
            return all(_compare(sign, left, right) for sign, left, right in pairs)
        case _:
            return _calculate(node, point)


def _calculate(node: ast.expr, point: Mapping[str, Value]) -> float:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            return ARITHMETIC[type(op)](_number(left, point), _number(right, point))
        case ast.UnaryOp(op=op, operand=part):
            number = _number(part, point)
            return -number if isinstance(op, ast.USub) else number
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return float(FUNCTIONS[name](*[_number(part, point) for part in arguments]))
        case _:
            raise ExpressionError(f"{show(node)!r} is not allowed")


def _plain(value: object) -> Result:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.replace(_MARK, "")
    assert isinstance(value, int | float)
    return float(value)


def _number(node: ast.expr, point: Mapping[str, Value]) -> float:
    value = evaluate(node, point)
    if isinstance(value, str):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
