# SPDX-License-Identifier: Apache-2.0
"""
From a name and attributes to one encoded log record: the gate that everything passes that we emit.

Only what the schema declares goes through, in the declared type and clean (`rules`). On the hot path: plain tables, no models,
one walk over the attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import SchemaError
from otel_revenue.schema._table import EVENTS, REQUIRED, SCHEMA_VERSION, STAGES
from otel_revenue.schema.money import EXPONENTS, to_number

from . import otlp
from .rules import clean_id, rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_revenue.schema.kinds import AttributeInfo

    from .rules import Rule

__all__ = ["clean_id", "context", "declare", "encode", "prepare", "recordable"]

_RULES: Final[dict[str, dict[str, Rule]]] = {
    name: {key: rule(key, kind, pattern) for key, (kind, pattern) in fields.items() if key != "schema_version"}
    for name, fields in EVENTS.items()
}

_COMMON: Final = {
    key: found for key, found in _RULES["order.paid"].items() if all(key in rules for rules in _RULES.values())
}

_DERIVED: Final = {key: otlp.encoder(key, EVENTS["order.paid"][key][0]) for key in ("skus_cut", "subtotal")}
_ENDS: Final = {name: otlp.record_end(name) for name in EVENTS}
_NEEDED: Final = {name: tuple(key for key in keys if key != "schema_version") for name, keys in REQUIRED.items()}
_own: dict[str, dict[str, tuple[str, str]]] = {}
_SOURCE: Final = "server"
_VERSION_BYTES: Final = otlp.encoder("schema_version", "code")(SCHEMA_VERSION)
_SOURCE_BYTES: Final = otlp.encoder("telemetry.source", "code")(_SOURCE)
_event_id_bytes: Final = otlp.encoder("event_id", "code")
_elapsed_bytes: Final = otlp.encoder("elapsed_ms", "count")


def declare(name: str, attributes: Mapping[str, AttributeInfo]) -> None:
    """Let events of the application's own through: *attributes* by wire name, those of every event among them."""
    kinds = {wire: (info.kind.value, info.pattern) for wire, info in attributes.items()}
    _NEEDED[name] = tuple(wire for wire, info in attributes.items() if info.required and wire != "schema_version")
    _ENDS[name] = otlp.record_end(name)
    _own[name] = kinds
    _RULES[name] = {wire: rule(wire, *kind) for wire, kind in kinds.items() if wire != "schema_version"}


def recordable() -> dict[str, dict[str, tuple[str, str]]]:
    """Return the events that an application may record itself, with kind and pattern of their attributes."""
    return {**{name: EVENTS[name] for name in STAGES}, **_own}


def prepare(
    name: str,
    attributes: Mapping[str, Any],
    encoded: dict[str, bytes] | None = None,
    *,
    event_id: str | None = None,
    elapsed_ms: int | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """
    Return the attributes that may leave, clean, and the names of those that may not.

    Where *encoded* is given, each clean attribute is put into it as `encode` wants it: one walk instead of two.

    A subtotal in minor units gets its number in major units beside it, where the currency's decimals are known.
    SKUs that do not fit, or look like personal data, are counted in `skus_cut`.

    Args:
        name: the event's name in the schema.
        attributes: by wire name.
        encoded: taken for the bytes of each attribute.
        event_id: given where the event is recorded here and now: a fresh id, in its canonical form. It, the source
            and *elapsed_ms* stand for what the attributes leave unsaid.
        elapsed_ms: time since the request began, milliseconds.

    Raises:
        SchemaError: the event is not declared, or a required attribute is missing or unusable.
    """
    rules = _RULES.get(name) if isinstance(name, str) else None
    if rules is None:
        raise SchemaError("the event is not declared in the schema")
    if encoded is None:
        encoded = {}
    clean: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    encoded["schema_version"] = _VERSION_BYTES
    if event_id is not None:
        clean["event_id"] = event_id
        encoded["event_id"] = _event_id_bytes(event_id)
        clean["telemetry.source"] = _SOURCE
        encoded["telemetry.source"] = _SOURCE_BYTES
        if elapsed_ms is not None:
            clean["elapsed_ms"] = elapsed_ms
            encoded["elapsed_ms"] = _elapsed_bytes(elapsed_ms)
    refused = _walk(rules, attributes, clean, encoded)
    if "subtotal_minor" in clean or "skus" in clean:
        for key in _derived(clean, attributes):
            encoded[key] = _DERIVED[key](clean[key])
    for key in _NEEDED[name]:
        if key not in clean:
            raise SchemaError(f"{name} without a usable {key}")
    return clean, refused


def _walk(
    rules: Mapping[str, Rule], attributes: Mapping[str, Any], clean: dict[str, Any], encoded: dict[str, bytes]
) -> list[str]:
    refused: list[str] = []
    for key, value in attributes.items():
        try:
            apply = rules[key]
        except KeyError:
            if value is not None and key != "schema_version":  # ours to say
                refused.append("undeclared")
            continue
        made = apply(value)
        if made is not None:
            clean[key], encoded[key] = made
        elif value is not None:
            refused.append(key)
            clean.pop(key, None)  # nor does what it was to replace stand for it
            encoded.pop(key, None)
    return refused


def context(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """
    Return the keys that every event may carry, clean, as they may stand on the request's span; and the names of those whose
    values may not leave. Other names are passed over.
    """
    clean: dict[str, Any] = {}
    refused: list[str] = []
    for key, value in values.items():
        apply = _COMMON.get(key)
        if apply is None or value is None:
            continue
        made = apply(value)
        if made is None:
            refused.append(key)
        else:
            clean[key] = made[0]
    _derived(clean, values)
    return clean, refused


def _derived(clean: dict[str, Any], attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Put what follows from other attributes; returns which."""
    put: tuple[str, ...] = ()
    if "skus" in clean and len(clean["skus"]) < len(attributes["skus"]):
        clean["skus_cut"] = len(attributes["skus"]) - len(clean["skus"])
        put = ("skus_cut",)
    # What an application binds or tracks is the integer; people and tools get the number beside it.
    minor = clean.get("subtotal_minor")
    if minor is not None and "subtotal" not in clean and clean.get("currency") in EXPONENTS:
        clean["subtotal"] = to_number(minor, clean["currency"])
        put += ("subtotal",)
    return put


def encode(
    name: str,
    attributes: Mapping[str, Any],
    *,
    time_ns: int,
    observed_ns: int,
    ids: tuple[int, int, int] = (0, 0, 0),
    encoded: Mapping[str, bytes] | None = None,
) -> bytes:
    """
    Return one encoded OTLP `LogRecord` of prepared attributes.

    Args:
        time_ns: when it happened, nanoseconds since the epoch.
        observed_ns: when we learnt of it.
        ids: trace id, span id, flags of the request; zeros outside a trace.
        encoded: the attributes as `prepare` has encoded them, if it has.
    """
    if encoded is None:
        fields = EVENTS[name]
        encoded = {key: otlp.encoder(key, fields[key][0])(value) for key, value in attributes.items()}
    return otlp.join_log_record(_ENDS[name], encoded.values(), time_ns, observed_ns, ids)
