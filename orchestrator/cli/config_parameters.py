"""Parameters in a file of options, as the words that `--parameter` takes.

    parameter:
      lr: {type: range, low: 1e-5, high: 0.1, log: true}
      layers: range 1 8 int
      kind: {type: choice, values: [a, b, c]}

or a list, whose entries are texts (`lr range 1e-5 0.1`), lists of words, or keys with values, `name`
among them.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Mapping

from orchestrator.cli.config_trees import Leaf, Listing, MisfitError, Node, Table, text_of
from orchestrator.cli.settings import is_true
from orchestrator.errors import did_you_mean

# The keys of each kind; those in the second place can be left out.
_KEYS = {
    "range": (("low", "high"), ("value_type", "log")),
    "choice": (("values",), ("value_type",)),
    "fixed": (("value",), ("value_type",)),
}


def parameter_words(node: Node, name: str | None) -> list[str]:
    """Return the words of a parameter.

    Args:
        node: What the file holds.
        name: The key that it stands for; None: it names itself.

    Raises:
        MisfitError: It is not understood; what a range or a choice has to be is checked later.
    """
    named = [] if name is None else [name]
    if isinstance(node, Table):
        return _from_keys(node, name)
    if isinstance(node, Listing):
        return [*named, *(_word(each) for each in node.entries)]
    text = text_of(node, "a text such as `range 0 10`, or keys with values")
    return [*named, *text.split()] if named else [text]


def _word(node: Node) -> str:
    """Return a word of a list; the values of a choice may be a list in it."""
    if isinstance(node, Listing):
        return ",".join(_choice_value(each) for each in node.entries)
    return text_of(node, "one word")


def _from_keys(table: Table, name: str | None) -> list[str]:
    keys = dict(table.pairs)
    for key, node in table.pairs:
        if [other for other, _ in table.pairs].count(key) > 1:
            raise MisfitError(node, "is there twice")
    if name is None:
        name = text_of(_needed(table, keys, "name"), "one word")
        del keys["name"]
    kind = text_of(_needed(table, keys, "type"), "range, choice or fixed").lower()
    if kind not in _KEYS:
        hint = did_you_mean(kind, _KEYS)
        known = ", ".join(_KEYS)
        raise MisfitError(keys["type"], f"{kind!r} is none of {known}. {hint}".rstrip())
    required, more = _KEYS[kind]
    _check_known(keys, ("type", *required, *more), kind)
    values = {key: _needed(table, keys, key) for key in required}
    return [name, kind, *_values(values), *_type_and_scale(kind, keys)]


def _needed(table: Table, keys: Mapping[str, Node], key: str) -> Node:
    if key not in keys:
        raise MisfitError(table, f"{key} is missing")
    return keys[key]


def _check_known(keys: Mapping[str, Node], known: tuple[str, ...], kind: str) -> None:
    for key, node in keys.items():
        if key not in known:
            hint = did_you_mean(key, known)
            allowed = f"no key of a {kind}; there are {', '.join(known)}."
            raise MisfitError(node, f"{allowed} {hint}".rstrip())


def _values(values: Mapping[str, Node]) -> list[str]:
    if "values" in values:
        listing = values["values"]
        if not isinstance(listing, Listing):
            return [text_of(listing, "a list of values")]
        return [",".join(_choice_value(each) for each in listing.entries)]
    return [text_of(node, "one value") for node in values.values()]


def _choice_value(node: Node) -> str:
    text = text_of(node, "one value")
    if not text.strip() or text != text.strip() or "," in text:
        raise MisfitError(
            node, f"{text!r} cannot be chosen: no commas, no blanks at its ends, not empty"
        )
    return text


def _type_and_scale(kind: str, keys: Mapping[str, Node]) -> list[str]:
    words = []
    if "value_type" in keys:
        words = [text_of(keys["value_type"], "one word")]
    elif kind == "range":
        words = ["float"]
    elif _is_all_quoted(keys.get("values", keys.get("value"))):
        words = ["str"]  # "5" in quotes is no number
    if "log" in keys:
        words += ["LOG", _truth(keys["log"])]
    return words


def _truth(node: Node) -> str:
    try:
        return str(is_true(text_of(node, "true or false"))).lower()
    except ArgumentTypeError as error:
        raise MisfitError(node, str(error)) from None


def _is_all_quoted(node: Node | None) -> bool:
    leaves = node.entries if isinstance(node, Listing) else (node,)
    return all(isinstance(leaf, Leaf) and leaf.is_quoted for leaf in leaves)
