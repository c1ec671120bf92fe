# SPDX-License-Identifier: Apache-2.0
"""
Events of an application's own: declared in its settings, or as a class below `CommonEvent`. The same rules hold for them as for ours.

    events:
      - name: quote.requested
        meaning: The buyer asked for a quote.
        attributes:
          quote_id: {kind: id, meaning: The shop's id of the quote., example: q-7}
          pages: {kind: count, unit: "{page}", meaning: Number of pages., example: 12}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import SchemaError

from . import lint
from .events import EVENTS, CommonEvent
from .fields import attributes_of
from .kinds import AttributeInfo, Kind, Sensitivity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Attributes = Mapping[str, AttributeInfo]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}(?:\.[a-z][a-z0-9_]{0,39}){1,3}")
_RESERVED: Final = ("order", "stripe", "otel")
"""First parts of names: of money, of Stripe's own objects, and of OpenTelemetry's."""
_KEYS: Final = ("name", "meaning", "attributes")
_ATTRIBUTE: Final = ("meaning", "kind", "example", "unit", "pattern", "sensitivity", "metric_label", "required")


def of_settings(raw: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Attributes], list[str]]:
    """Return the events by name, and what is wrong, in the reader's words; an event that is wrong is left out."""
    events: dict[str, Attributes] = {}
    problems: list[str] = []
    for number, entry in enumerate(raw, 1):
        try:
            name = checked_name(entry.get("name"))
            events[name] = _attributes(name, entry)
        except SchemaError as error:  # noqa: PERF203 - every entry is judged for itself
            problems.append(f"events, entry {number}: {error}; the event is left out")
    return events, problems


def of_class(event: type[CommonEvent]) -> Attributes:
    """
    Return the attributes of an event's class; that they are in order was seen when the class was built.

    Raises:
        SchemaError: its name is not one that an application may give, or it means something else by an attribute of ours.
    """
    name = checked_name(event.event_name)
    attributes = attributes_of(event)
    _agree(name, attributes)
    return attributes


def checked_name(name: object) -> str:
    """
    Return the name of an event of the application's own.

    Raises:
        SchemaError: it is malformed, reserved or ours.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SchemaError("an event's name is two words or more in lower case, joined by a dot: quote.requested")
    if name.partition(".")[0] in _RESERVED or any(name == event.event_name for event in EVENTS):
        raise SchemaError(f"{name} is not yours to declare: it is an event of ours, or about money")
    return name


def _attributes(name: str, entry: Mapping[str, Any]) -> Attributes:
    _known(entry, _KEYS, name)
    if not isinstance(entry.get("meaning"), str):
        raise SchemaError(f"{name}: say in a sentence what it means")
    declared = entry.get("attributes") or {}
    if not isinstance(declared, dict) or not all(isinstance(said, dict) for said in declared.values()):
        raise SchemaError(f"{name}: attributes must be names, each with kind, meaning and example")
    own = {wire: _attribute(f"{name}, {wire}", wire, said) for wire, said in declared.items()}
    attributes = {**attributes_of(CommonEvent), **own}
    _agree(name, attributes)
    wrong = lint.problems(attributes.values())
    if wrong:
        raise SchemaError(f"{name}: {'; '.join(wrong)}")
    return attributes


def _attribute(where: str, wire: str, said: Mapping[str, Any]) -> AttributeInfo:
    _known(said, _ATTRIBUTE, where)
    try:
        kind, sensitivity = Kind(said.get("kind")), Sensitivity(said.get("sensitivity", Sensitivity.BUSINESS))
    except ValueError:
        raise SchemaError(
            f"{where}: kind is one of {', '.join(k.value for k in Kind)}; sensitivity of {', '.join(s.value for s in Sensitivity)}"
        ) from None
    pattern = str(said.get("pattern", ""))
    try:
        re.compile(pattern)
    except re.error:
        raise SchemaError(f"{where}: the pattern is no regular expression") from None
    return AttributeInfo(
        meaning=str(said.get("meaning", "")),
        sensitivity=sensitivity,
        kind=kind,
        example=said.get("example"),
        wire=wire,
        unit=str(said.get("unit", "")),
        pattern=pattern,
        metric_label=said.get("metric_label") is True,
        required=said.get("required") is True,
    )


def _known(said: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    strange = sorted(str(key)[:40] for key in said if key not in keys)
    if strange:
        raise SchemaError(f"{where}: there is no key {strange[0]}; known are {', '.join(keys)}")


def _agree(name: str, attributes: Attributes) -> None:
    ours = {event.event_name: attributes_of(event) for event in EVENTS}
    wrong = lint.disagreements({**ours, name: attributes})
    if wrong:
        raise SchemaError("; ".join(wrong))
