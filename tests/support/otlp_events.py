"""Events as an instrumented application sends them: through the schema gate and our own encoder."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from otel_revenue.signals import otlp, record

if TYPE_CHECKING:
    from collections.abc import Sequence

T0 = 1_790_000_000 * 10**9
SECOND = 10**9
DAY = 86_400 * SECOND


def event(
    name: str, *, at: int = T0, observed: int | None = None, ids: tuple[int, int, int] = (0, 0, 0), **attributes: Any
) -> bytes:
    """One encoded record; `event_id` is derived from what is given when it is not given."""
    given = {key: value for key, value in attributes.items() if value is not None}
    given.setdefault("event_id", str(uuid.uuid5(uuid.NAMESPACE_URL, repr((name, at, sorted(given.items(), key=str))))))
    clean, refused = record.prepare(name, given)
    assert not refused, refused
    return record.encode(name, clean, time_ns=at, observed_ns=observed or at + 5, ids=ids)


def paid(order_id: str | None = "o-1", amount_minor: int = 4999, **attributes: Any) -> bytes:
    """An `order.paid`: live, EUR, one-off, unless said otherwise."""
    attributes = {"currency": "EUR", "livemode": True, "payment_kind": "one_off", **attributes}
    return event("order.paid", order_id=order_id, amount_minor=amount_minor, **attributes)


def logs_request(records: Sequence[bytes], service: str = "shop") -> bytes:
    """An `ExportLogsServiceRequest` of encoded records."""
    resource = otlp.encode_resource({"service.name": service})
    return otlp.frame_request(records, resource=resource, scope=otlp.encode_scope("otel_revenue", "0"))
