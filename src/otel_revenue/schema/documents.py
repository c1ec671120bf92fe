# SPDX-License-Identifier: Apache-2.0
"""JSON Schema (2020-12) of the events, by the names on the wire: what `schema/*.json` and `otel-revenue schema` show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .fields import attributes_of
from .kinds import Kind

if TYPE_CHECKING:
    from .fields import RevenueEvent

_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 254}
_INTEGER: Final = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_FORMS: Final[dict[Kind, dict[str, Any]]] = {
    Kind.ID: _TEXT,
    Kind.LABEL: _TEXT,
    Kind.CODE: _TEXT,
    Kind.COUNT: _INTEGER,
    Kind.MINOR: _INTEGER,
    Kind.MAJOR: {"type": "number", "minimum": 0},
    Kind.FLAG: {"type": "boolean"},
    Kind.IDS: {"type": "array", "items": _TEXT, "minItems": 1},
}


def json_schema(event: type[RevenueEvent]) -> dict[str, Any]:
    """Return the JSON Schema of one event's attributes."""
    properties = {}
    for wire, info in attributes_of(event).items():
        entry = {
            **_FORMS[info.kind],
            "description": info.meaning,
            "examples": [info.example],
            "x-sensitivity": info.sensitivity.value,
        }
        if info.pattern:
            entry["pattern"] = f"^(?:{info.pattern})$"
        if info.unit:
            entry["x-unit"] = info.unit
        properties[wire] = entry
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": event.event_name,
        "description": " ".join((event.__doc__ or "").split()),
        "type": "object",
        "properties": properties,
        "required": [wire for wire, info in attributes_of(event).items() if info.required],
        "additionalProperties": False,
    }
