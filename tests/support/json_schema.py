# SPDX-License-Identifier: Apache-2.0
"""Validates by the part of JSON Schema that `schema/*.json` uses; a keyword that it does not know is an error."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ANNOTATIONS = {"$schema", "$comment", "title", "description", "examples", "x-sensitivity", "x-unit"}
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}


@lru_cache
def load(event: str) -> dict[str, Any]:
    """Return the published schema of an event."""
    return json.loads((ROOT / "schema" / f"{event}.json").read_text(encoding="utf-8"))


def errors(event: str, attributes: dict[str, Any]) -> list[str]:
    """Return what is wrong with the attributes by the published schema of their event."""
    return list(_check(load(event), attributes, event))


def _check(schema: dict[str, Any], value: Any, where: str):
    kind = schema["type"]
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{where}: is no {kind}"
        return
    for keyword, argument in schema.items():
        if keyword in ANNOTATIONS or keyword == "type":
            continue
        yield from _KEYWORDS[keyword](schema, argument, value, where)


def _properties(_, argument, value, where):
    for name, inner in argument.items():
        if name in value:
            yield from _check(inner, value[name], f"{where}.{name}")


def _items(_, argument, value, where):
    for item in value:
        yield from _check(argument, item, f"{where}[]")


def _additional(schema, argument, value, where):
    assert argument is False
    yield from (f"{where}: {name!r} is not declared" for name in value if name not in schema["properties"])


def _rule(holds):
    return lambda _, argument, value, where: (
        () if holds(argument, value) else (f"{where}: {value!r} against {argument!r}",)
    )


_KEYWORDS = {
    "properties": _properties,
    "items": _items,
    "additionalProperties": _additional,
    "required": _rule(lambda names, value: all(name in value for name in names)),
    "minimum": _rule(lambda least, value: value >= least),
    "maximum": _rule(lambda most, value: value <= most),
    "minLength": _rule(lambda least, value: len(value) >= least),
    "maxLength": _rule(lambda most, value: len(value) <= most),
    "minItems": _rule(lambda least, value: len(value) >= least),
    "pattern": _rule(lambda pattern, value: re.search(pattern, value) is not None and not value.endswith("\n")),
}
