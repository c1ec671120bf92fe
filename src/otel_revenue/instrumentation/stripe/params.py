# SPDX-License-Identifier: Apache-2.0
"""A plain view of create parameters, in whatever form the application passes them. Pure; changes nothing, keeps no reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Final

MAX_DEPTH: Final = 8
MAX_NODES: Final = 4000
"""A Session has at most 100 line items of some 20 fields."""
MAX_TEXT: Final = 5000
"""Stripe's longest parameter. What is longer is left out, not clipped: half an id is no id."""

_BRACKETS = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\]){1,8})")
_DROP: Final = object()


class _Budget:
    """How many more values may be read."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes

    def spend(self) -> bool:
        self.nodes -= 1
        return self.nodes >= 0


def normalise(params: object) -> dict[str, Any]:
    """
    Return *params* as nested dicts and lists of `str`, `int`, `bool` and None.

    Understood are mappings, Stripe's own objects (an object with an id stands for its id, as in the library's encoder),
    lists, tuples, dicts of indices (`{"0": …}`), bracket keys (`"line_items[0][price]"`), text, bytes and integers.
    Decimals and floats become text, so that nobody calculates with them by accident. Everything else is left out, and
    so is what lies deeper than `MAX_DEPTH` or comes after `MAX_NODES`. Never raises.
    """
    budget = _Budget(MAX_NODES)
    root: dict[str, Any] = {}
    for key, raw in _pairs(params, budget) or ():
        name = _name(key)
        value = _view(raw, budget, 1)
        if name is not None and value is not _DROP:
            _put(root, name, value)
    return {key: _lists(value, key, MAX_DEPTH * 2) for key, value in root.items()}


def _view(value: object, budget: _Budget, depth: int) -> Any:
    if not budget.spend() or depth > MAX_DEPTH:
        return _DROP
    if value is None or isinstance(value, (str, bytes, int, float, Decimal)):
        return _scalar(value)
    if isinstance(value, (list, tuple)):
        items = (_view(item, budget, depth + 1) for item in value[:MAX_NODES])
        return [item for item in items if item is not _DROP]
    if not isinstance(value, dict) or type(value).__module__.startswith("stripe."):
        identity = _identity(value)
        if identity is not None:
            return identity
    pairs = _pairs(value, budget)
    if pairs is None:
        return _DROP
    named = ((_name(key), _view(item, budget, depth + 1)) for key, item in pairs)
    return {name: item for name, item in named if name is not None and item is not _DROP}


def _scalar(value: object) -> Any:
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return _DROP
    if isinstance(value, str):
        return str.__str__(value) if len(value) <= MAX_TEXT else _DROP  # an Enum of text counts as its text
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int.__index__(value) if value.bit_length() <= 64 else _DROP
    return str(value)


def _pairs(value: object, budget: _Budget) -> list[tuple[object, object]] | None:
    """Return what Stripe's encoder would iterate over, None when it would not."""
    data = _stripe_data(value)
    mapping = value if data is None else data
    if not isinstance(mapping, Mapping):
        return None
    try:
        return list(islice(mapping.items(), max(0, budget.nodes)))
    except Exception:  # noqa: BLE001  a mapping of the application's own may do anything
        return None


def _stripe_data(value: object) -> dict[str, object] | None:
    """Return the fields of a StripeObject, which has been no dict since 15.0."""
    data = getattr(value, "__dict__", {}).get("_data") if type(value).__module__.startswith("stripe.") else None
    return data if isinstance(data, dict) else None


def _identity(value: object) -> str | None:
    """Return the id of one of Stripe's objects."""
    if not type(value).__module__.startswith("stripe."):
        return None
    data = _stripe_data(value) or (value if isinstance(value, dict) else {})
    identity = data.get("id")
    return identity if isinstance(identity, str) and len(identity) <= MAX_TEXT else None


def _name(key: object) -> str | None:
    if isinstance(key, bytes):
        return key.decode(errors="replace")
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool) and key.bit_length() <= 64:
        return str(int.__index__(key))
    return None


def _put(root: dict[str, Any], name: str, value: Any) -> None:
    """Put *value* where *name*, with or without brackets, says."""
    match = _BRACKETS.fullmatch(name)
    path = [name] if match is None else [match[1], *match[2][1:-1].split("][")]
    if len(path) > 1 and path[-1] == "":
        path.pop()
        value = value if isinstance(value, list) else [value]
    node = root
    for part in path[:-1]:
        child = node.get(part or "0")
        if isinstance(child, list):
            child = {str(index): item for index, item in enumerate(child)}
        if not isinstance(child, dict):
            child = {}
        node[part or "0"] = child
        node = child
    last = path[-1]
    known = node.get(last)
    node[last] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value


def _lists(value: Any, key: str, depth: int) -> Any:
    """Turn dicts of indices into lists. Metadata stays as it is: its keys are the merchant's, numbers too."""
    if depth <= 0:
        return None
    if isinstance(value, list):
        return [_lists(item, "", depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    if key == "metadata":
        return value
    if value and all(name.isascii() and name.isdigit() and len(name) < 6 for name in value):
        return [_lists(value[name], "", depth - 1) for name in sorted(value, key=int)]
    return {name: _lists(item, name, depth - 1) for name, item in value.items()}
