"""Webhooks that tell of money that did not come, through the real hooks to a real receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.receiver import wait_for

if TYPE_CHECKING:
    from support.instrumented import App

DECLINED = {
    "id": "ch_declined_1",
    "object": "charge",
    "status": "failed",
    "captured": False,
    "payment_intent": "pi_1",
    "metadata": {"order_id": "order-1"},
    "outcome": {"type": "issuer_declined", "reason": "expired_card", "seller_message": "Jane Doe's card expired."},
    "failure_code": "expired_card",
    "failure_message": "Jane Doe's card has expired.",
}
EXPIRED = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "mode": "payment",
    "status": "expired",
    "payment_status": "unpaid",
    "metadata": {"order_id": "order-1"},
}


def traces_of(app: App) -> list[str]:
    return [
        format(span.context.trace_id, "032x")
        for span in app.spans.get_finished_spans()
        if span.name == "POST /webhooks"
    ]  # type: ignore[union-attr]


def told(app: App, name: str) -> list[dict[str, Any]]:
    return [log.attributes for log in app.receiver.named(name)]


def test_a_decline_waits_and_is_told_on_the_trace_of_its_webhook(app: App) -> None:
    """After the hold the decline arrives once, with order, code and attempt, on the trace that told it, and without free text."""
    app.instrument(enrich_hold=1)
    for _ in range(2):
        app.handle_event("charge.failed", DECLINED)
    assert wait_for(lambda: bool(app.receiver.named("checkout.payment_failed")))
    app.instrumentor.uninstrument()
    (log,) = app.receiver.named("checkout.payment_failed")

    assert {
        "order_id": "order-1",
        "decline_code": "expired_card",
        "attempt": 1,
        "stripe.charge.id": "ch_declined_1",
        "stripe.payment_intent.id": "pi_1",
        "livemode": True,
    }.items() <= log.attributes.items()
    assert traces_of(app)[0] == log.trace_id
    assert not any(b"Jane" in body for body in app.receiver.bodies)


def test_without_a_hold_a_decline_is_on_the_span_of_its_webhook(app: App) -> None:
    """With the hold at 0 the decline is recorded while its webhook is handled: the span event has the log event's id."""
    app.instrument(enrich_hold=0)
    app.handle_event("charge.failed", DECLINED)
    assert wait_for(lambda: bool(app.receiver.named("checkout.payment_failed")))
    (span,) = [s for s in app.spans.get_finished_spans() if s.name == "POST /webhooks"]
    shown = [dict(e.attributes or {}) for e in span.events if e.name == "checkout.payment_failed"]

    assert [told(app, "checkout.payment_failed")[0]["event_id"]] == [e["event_id"] for e in shown]


def test_what_is_on_hold_when_the_process_ends_is_told_by_the_next_one(app: App) -> None:
    """A setback on hold is in the store: the next process that serves records it, without being told again, once."""
    app.instrument(enrich_hold=1)
    app.handle_event("checkout.session.expired", EXPIRED)
    app.instrumentor.uninstrument()
    app.instrument(enrich_hold=1)
    assert app.instrumentor.runtime is not None
    app.instrumentor.runtime.start()
    assert wait_for(lambda: bool(app.receiver.named("checkout.expired")))
    app.instrumentor.uninstrument()

    assert ["order-1"] == [attributes["order_id"] for attributes in told(app, "checkout.expired")]
