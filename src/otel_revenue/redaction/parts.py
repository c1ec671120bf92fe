# SPDX-License-Identifier: Apache-2.0
"""
What a redactor makes of the parts that spans, logs and metrics are put together from.

Everything is returned as it came where nothing had to change, so that clean telemetry, which is nearly all, costs no copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link
from opentelemetry.trace.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_revenue.privacy.redactor import Redactor

    T = TypeVar("T")

_KNOWN: Final = 256

GATE: Final = (
    "otel-revenue: this OpenTelemetry SDK does not let %s be masked in the process: personal data may leave in them. Set "
    "%s=otlp_redacted, or put otel_revenue.redaction.%s around your exporter."
)


class Parts:
    """
    Redacts the parts of telemetry.

    Args:
        redactor: decides about values.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        # By identity, and held, so that the identity stays: an application has one resource and some dozen scopes.
        self._made: dict[int, tuple[Any, Any]] = {}

    def attributes(self, attributes: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Return attributes as they may leave."""
        return self._redactor.attributes(attributes) if attributes else attributes

    def resource(self, resource: Resource) -> Resource:
        """Return a resource as it may leave."""
        return self._once(resource, self._resource)

    def scope(self, scope: InstrumentationScope) -> InstrumentationScope:
        """Return an instrumentation scope as it may leave."""
        return self._once(scope, self._scope)

    def span_name(self, name: str, attributes: Mapping[str, Any] | None) -> str:
        """Return a span's name as it may leave. Without a route, the name of a request may be a path that a visitor made up."""
        if self._redactor.strict and " /" in name and not (attributes and "http.route" in attributes):
            name = name.partition(" /")[0]
        return self._redactor.text(name)

    def status(self, status: Status) -> Status:
        """Return a status as it may leave: the SDK describes a failure by the message of the exception."""
        text = status.description
        clean = self._redactor.message(text) if text else text
        return status if clean == text else Status(status.status_code, clean)

    def events(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return span events as they may leave."""
        return _each(events, self._event)

    def links(self, links: Sequence[Link]) -> Sequence[Link]:
        """Return links as they may leave."""
        return _each(links, self._link)

    def _event(self, event: Event) -> Event:
        name, attributes = self._redactor.text(event.name), self.attributes(event.attributes)
        if name == event.name and attributes is event.attributes:
            return event
        return Event(name, attributes, event.timestamp)

    def _link(self, link: Link) -> Link:
        attributes = self.attributes(link.attributes)
        return link if attributes is link.attributes else Link(link.context, attributes)

    def _resource(self, resource: Resource) -> Resource:
        attributes = self.attributes(resource.attributes)
        return resource if attributes is resource.attributes else Resource(attributes or {}, resource.schema_url)

    def _scope(self, scope: InstrumentationScope) -> InstrumentationScope:
        name, version = self._redactor.text(scope.name), self._redactor.text(scope.version or "")
        attributes = self.attributes(scope.attributes)
        if name == scope.name and version == (scope.version or "") and attributes is scope.attributes:
            return scope
        return InstrumentationScope(name, version, scope.schema_url, attributes)

    def _once(self, thing: T, make: Callable[[T], T]) -> T:
        found = self._made.get(id(thing))
        if found is not None and found[0] is thing:
            return found[1]  # type: ignore[no-any-return]
        made = make(thing)
        if len(self._made) >= _KNOWN:
            self._made = {}
        self._made[id(thing)] = (thing, made)
        return made


def _each(things: Sequence[T], make: Callable[[T], T]) -> Sequence[T]:
    made = [make(thing) for thing in things]
    return things if all(new is old for new, old in zip(made, things, strict=True)) else made


def bounded(attributes: Mapping[str, Any] | None, old: Any, *, immutable: bool = True) -> BoundedAttributes:
    """Return attributes as the SDK holds them, with the count of those that *old* had dropped."""
    made = BoundedAttributes(attributes=dict(attributes or {}), immutable=immutable)
    made.dropped = getattr(old, "dropped", 0)
    return made


def listed(things: Sequence[Any], old: Any) -> BoundedList[Any]:
    """Return events or links as the SDK holds them, with the count of those that *old* had dropped."""
    made: BoundedList[Any] = BoundedList.from_seq(None, things)
    made.dropped = getattr(old, "dropped", 0)
    return made
