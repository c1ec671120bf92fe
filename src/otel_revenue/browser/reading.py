# SPDX-License-Identifier: Apache-2.0
"""
From the bytes of a post to the events that may be recorded. Pure; what is left out is counted by reason.

What a browser says is forgeable. It names stages of the funnel and nothing about money, its values pass the schema like any
others, and neither its clock nor its ids are taken as they are.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from typing import Any, Final, NamedTuple

from otel_revenue.privacy.values import scrub
from otel_revenue.schema._table import EVENTS

from ._allowed import ALLOWED
from .answers import Refused
from .limits import MAX_EVENTS

NAMESPACE: Final = uuid.UUID("b3a7c1de-0d0f-5b7e-8f43-9d5a1c6e2f70")
"""
Of the `event_id` of a browser's event: UUIDv5 of the random id that the browser's module gave it.

A post whose answer did not arrive is sent again, perhaps to another process: the same random id must become the same `event_id`
everywhere, so that whoever dedupes counts one. It is not taken as it is, since a visitor could then choose the `event_id` of a
payment, which is made from ids that a buyer can see. Payments have another namespace: for an id of ours to be equal to one of
theirs, two different inputs would need the same SHA-1 of 122 bits. A visitor who repeats a random id repeats a visitor's own
event. The namespace is no secret and is never changed.
"""

CLOCK_ERROR_NS: Final = 5 * 60 * 10**9
"""A visitor's clock that is right within this is believed, so that an event sent twice has one time."""

MAX_AGE_NS: Final = 24 * 3600 * 10**9

_MONEY: Final = {
    wire
    for fields in EVENTS.values()
    for wire, (kind, _) in fields.items()
    if kind in ("major", "minor") or wire.endswith("currency") or wire.startswith("stripe.")
}
_UID: Final = "log.record.uid"
_uid: Final = re.compile(r"[0-9a-f]{32}").fullmatch
_digits: Final = re.compile(r"[0-9]{1,19}").fullmatch
_trace_id: Final = re.compile(r"(?!0{32})[0-9a-f]{32}").fullmatch
_span_id: Final = re.compile(r"(?!0{16})[0-9a-f]{16}").fullmatch


class BrowserEvent(NamedTuple):
    """One event. `event_id` is None where the browser gave it no id; `at_ns` is by our clock; `ids` are those of the page."""

    name: str
    event_id: str | None
    attributes: dict[str, Any]
    at_ns: int
    ids: tuple[int, int, int]


def read(body: bytes, now_ns: int) -> tuple[list[BrowserEvent], Counter[str]]:
    """
    Return the events of an OTLP/JSON request (`ExportLogsServiceRequest`), and how often what was left out, by reason.

    Reasons: `event` and `money` (an event or attribute that is not a browser's to say), `attribute` (not declared), `value`
    (of another type than declared), `personal` (looks like personal data), `clock` (the time was replaced).

    Args:
        now_ns: our clock, nanoseconds since the epoch.

    Raises:
        Refused: `malformed` or `events`.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):  # of bytes that are no text, too
        raise Refused("malformed") from None
    records = [
        record
        for resource in _objects(request, "resourceLogs")
        for scope in _objects(resource, "scopeLogs")
        for record in _objects(scope, "logRecords")
    ]
    if not records:
        raise Refused("malformed")
    if len(records) > MAX_EVENTS:
        raise Refused("events")
    reasons: Counter[str] = Counter()
    read = [_event(record, now_ns, reasons) for record in records]
    return [event for event in read if event is not None], reasons


def _objects(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = holder.get(key, []) if isinstance(holder, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Refused("malformed")
    return found


def _event(record: dict[str, Any], now_ns: int, reasons: Counter[str]) -> BrowserEvent | None:
    name = record.get("eventName")
    if not isinstance(name, str) or name not in ALLOWED:
        reasons["money" if isinstance(name, str) and name.startswith("order.") else "event"] += 1
        return None
    event_id = None
    attributes: dict[str, Any] = {}
    for pair in _objects(record, "attributes"):
        key, value = pair.get("key"), _plain(pair.get("value"))
        if key == _UID:
            event_id = str(uuid.uuid5(NAMESPACE, value)) if isinstance(value, str) and _uid(value) else None
        elif not isinstance(key, str) or key not in ALLOWED[name]:
            reasons["money" if isinstance(key, str) and key in _MONEY else "attribute"] += 1
        elif value is None:
            reasons["value"] += 1
        elif _personal(value):
            reasons["personal"] += 1
        else:
            attributes[key] = value
    at_ns = _when(record, now_ns)
    if at_ns is None:
        reasons["clock"] += 1
        at_ns = _by_our_clock(record, now_ns)
    return BrowserEvent(name, event_id, attributes, at_ns, _ids(record))


def _plain(value: Any) -> Any:
    """Return the value of an OTLP `AnyValue` that one of our attributes can have, None for every other."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    (kind, inner), *_ = value.items()
    if kind == "arrayValue":
        values = inner.get("values") if isinstance(inner, dict) else None
        texts = [_plain(item) for item in values] if isinstance(values, list) else []
        return texts if texts and all(isinstance(text, str) for text in texts) else None
    if kind == "intValue":
        if isinstance(inner, str):
            return int(inner) if _digits(inner) else None
        return inner if type(inner) is int and inner >= 0 else None
    fits = (kind == "stringValue" and isinstance(inner, str)) or (kind == "boolValue" and isinstance(inner, bool))
    return inner if fits else None


def _personal(value: Any) -> bool:
    return any(scrub(text) != text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))


def _times(record: dict[str, Any]) -> tuple[int, int] | None:
    """Return when it happened and when it was sent, by the visitor's clock, in nanoseconds since the epoch."""
    at, sent = (_plain({"intValue": record.get(key)}) for key in ("timeUnixNano", "observedTimeUnixNano"))
    return None if at is None or sent is None else (at, sent)


def _when(record: dict[str, Any], now_ns: int) -> int | None:
    """Return when it happened, None where the visitor's clock cannot be believed."""
    times = _times(record)
    if times is None or abs(times[1] - now_ns) > CLOCK_ERROR_NS or not 0 <= times[1] - times[0] <= MAX_AGE_NS:
        return None
    return times[0]


def _by_our_clock(record: dict[str, Any], now_ns: int) -> int:
    """Return when it happened from how long ago it was: a clock that is wrong runs as fast as others."""
    times = _times(record)
    return now_ns if times is None else now_ns - min(max(times[1] - times[0], 0), MAX_AGE_NS)


def _ids(record: dict[str, Any]) -> tuple[int, int, int]:
    trace_id, span_id, flags = (record.get(key) for key in ("traceId", "spanId", "flags"))
    if not (isinstance(trace_id, str) and _trace_id(trace_id) and isinstance(span_id, str) and _span_id(span_id)):
        return 0, 0, 0
    return int(trace_id, 16), int(span_id, 16), flags & 0xFF if type(flags) is int and flags >= 0 else 0
