"""How tests read Stripe's JSON: a reader with the default sources, and the runtime's own rule for text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_revenue.config import Settings
from otel_revenue.instrumentation.stripe import facts
from otel_revenue.instrumentation.stripe.picked import Reader
from otel_revenue.signals.record import clean_id

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_NS = 1_790_000_010 * 10**9
NO_TRACE = (0, 0, 0)


def reader_for(settings: Settings) -> Callable[..., Reader]:
    """Return what makes readers under *settings*, as the listener does."""
    keys = {
        name: tuple(source[len("metadata.") :] for source in sources if source.startswith("metadata."))
        for name, sources in (
            ("order_id", settings.order_id_from),
            ("tier", settings.tier_from),
            ("country", settings.country_from),
        )
    }

    def make(*, account: str, at_ns: int, livemode: bool | None) -> Reader:
        return Reader(
            account, at_ns, livemode, settings.emit_zero, keys, settings.sku_from, settings.tier_from, clean_id
        )

    return make


def read_event(body: object, settings: Settings | None = None) -> facts.Reading:
    """Read one event, as a webhook brings it."""
    return facts.from_event(body, reader_for(settings or Settings()), now_ns=NOW_NS, seen=NO_TRACE)


def read_answer(method: str, path: str, body: object, settings: Settings | None = None, **more: Any) -> facts.Reading:
    """Read one answer of Stripe's API."""
    arguments: dict[str, Any] = {"account": "", "now_ns": NOW_NS, "seen": NO_TRACE, **more}
    return facts.from_answer(method, path, body, reader_for(settings or Settings()), **arguments)
