# SPDX-License-Identifier: Apache-2.0
"""
Stripe's form encoding: `a=1`, `metadata[key]=v`, `line_items[0][price]=price_1`, `expand[]=customer`.

Indices may be left empty; a number stands for a place in a list, except under `metadata`, where every key is a name.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from .failure import invalid

_KEY: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART: Final = re.compile(r"\[([^\[\]]*)\]")
_DEEPEST: Final = 12


def decode(text: str) -> dict[str, Any]:
    """
    Return the parameters that *text* (a query string or form body) holds: dicts, lists and strings.

    Raises:
        StripeFailure: a key is not well-formed, or names a value and a container at once.
    """
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True, max_num_fields=20_000):
        path = _path(key)
        node = tree
        for part in path[:-1]:
            node = node.setdefault(_slot(node, part), {})
            if not isinstance(node, dict):
                raise invalid(f"Invalid key: {key}", param=path[0], executed=False)
        last = _slot(node, path[-1])
        if isinstance(node.get(last), dict):
            raise invalid(f"Invalid key: {key}", param=path[0], executed=False)
        node[last] = value
    return {name: _lists(name, value) for name, value in tree.items()}


def _path(key: str) -> list[str]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise invalid(f"Invalid key: {key}", executed=False)
    path = [match[1], *_PART.findall(match[2])]
    if len(path) > _DEEPEST:
        raise invalid(f"Invalid key: {path[0]}", param=path[0], executed=False)
    return path


def _slot(node: dict[str, Any], part: str) -> str:
    """An empty index means: the next place."""
    return part if part != "" else str(len(node))


def _lists(name: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if name != "metadata" and all(key.isdecimal() for key in value):
        return [_lists("", item) for _, item in sorted(value.items(), key=lambda pair: int(pair[0]))]
    return {key: _lists(key, item) for key, item in value.items()}
