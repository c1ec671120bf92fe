"""`RevenueInstrumentor` in code: what it puts in place, what it takes away, and what it leaves alone."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import starlette.applications
from opentelemetry.trace import SpanKind
from stripe import _api_requestor, _webhook

from otel_revenue import bind, flush, track
from support.receiver import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from support.instrumented import App


def _patched() -> dict[str, object]:
    requestor = _api_requestor._APIRequestor
    return {
        "request_raw": inspect.getattr_static(requestor, "request_raw"),
        "request_raw_async": inspect.getattr_static(requestor, "request_raw_async"),
        "verify_header": inspect.getattr_static(_webhook.WebhookSignature, "verify_header"),
        **({"build_v1_event": _webhook.build_v1_event} if hasattr(_webhook, "build_v1_event") else {}),  # since 15.5
        "call": inspect.getattr_static(starlette.applications.Starlette, "__call__"),
    }


def test_uninstrument_restores_the_very_same_objects(app: App) -> None:
    """What was patched is put back, object by object; nothing stays behind."""
    before = _patched()
    app.instrument()
    during = _patched()
    app.instrumentor.uninstrument()

    assert not {name for name in before if during[name] is before[name]}
    assert not {name for name, value in _patched().items() if value is not before[name]}


def test_nothing_is_opened_or_started_before_it_is_needed(app: App) -> None:
    """A server may fork after instrumentation: no thread, no file until this process does something."""
    threads = set(threading.enumerate())
    app.instrument()

    assert threads == set(threading.enumerate())
    assert not (app.folder / "store").exists()


def test_a_payment_with_the_providers_of_the_application(app: App) -> None:
    """The event arrives, is on the application's own span, and carries its service; of its resource nothing else."""
    app.instrument()
    app.handle(1)

    assert flush(60)
    (event,) = app.receiver.named("order.paid")
    (server,) = [span for span in app.spans.get_finished_spans() if span.name == "POST /webhooks"]
    assert ("o-1", 4201, "EUR", "DE", True) == tuple(
        event.attributes[n] for n in ("order_id", "amount_minor", "currency", "country", "livemode")
    )
    assert "shop" == event.resource["service.name"]
    assert "process.command_args" not in event.resource
    assert ["order.paid"] == [e.name for e in server.events]
    assert "o-1" == dict(server.attributes or {})["order_id"]


def test_instrumented_twice_in_a_row(app: App) -> None:
    """After an uninstrument, instrumenting again works, on the same store: what was recorded stays recorded."""
    app.instrument()
    app.handle(1)
    app.instrumentor.uninstrument()
    app.instrument()
    app.handle(1)
    app.handle(2)
    flush(60)

    assert ["o-1", "o-2"] == [e.attributes["order_id"] for e in app.receiver.named("order.paid")]


def test_instrumented_anew_the_metrics_go_on(app: App) -> None:
    """After an uninstrument and another instrument the gauges show the store that is in use, and counts go on."""
    app.instrument()
    app.handle(1)
    app.instrumentor.uninstrument()
    app.receiver.status = 503
    app.instrument()
    app.handle(2)
    flush(1)

    assert {(): 1} == app.metric("otel_revenue.outbox.pending")
    assert {(("event", "order.paid"),): 2} == app.metric("otel_revenue.events.recorded")
    app.receiver.status = 200
    assert wait_for(lambda: app.metric("otel_revenue.outbox.pending") == {(): 0})


def test_a_second_instrument_says_what_it_leaves_aside(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """Settings given to an application that is instrumented already have no effect, and a line names them."""
    app.instrument()
    app.instrument(hold=1)
    app.handle(1)
    flush(60)

    assert 1 == len(app.receiver.named("order.paid"))
    assert "hold, meter_provider, store, tracer_provider of instrument() have no effect" in caplog.text
    assert str(app.folder) not in caplog.text


@pytest.mark.parametrize(("signal", "logs", "span_events"), [("logs/dup", 1, 1), ("logs", 1, 0), ("spans", 0, 1)])
def test_the_signal_is_chosen(app: App, signal: str, logs: int, span_events: int) -> None:
    """`OTEL_REVENUE_EVENT_SIGNAL`: log events, span events, or both with one id; the order context is on the span always."""
    app.instrument(event_signal=signal)
    app.handle(1)
    flush(60)
    (server,) = [span for span in app.spans.get_finished_spans() if span.name == "POST /webhooks"]

    assert (logs, span_events) == (len(app.receiver.named("order.paid")), len(server.events))
    assert "o-1" == dict(server.attributes or {})["order_id"]


def test_two_requests_do_not_share_what_was_bound(app: App) -> None:
    """`bind` holds for its request alone, also where a server reuses the thread."""
    app.instrument()
    tracer = app.tracers.get_tracer("web")
    with tracer.start_as_current_span("first", kind=SpanKind.SERVER):
        bind(order_id="o-bound", tier="gold")
        track("design.approved", design_id="d-1")
    with tracer.start_as_current_span("second", kind=SpanKind.SERVER):
        track("design.approved", design_id="d-2")
    flush(60)
    events = {e.attributes["design_id"]: e.attributes for e in app.receiver.named("design.approved")}

    assert ("o-bound", "gold") == (events["d-1"]["order_id"], events["d-1"]["tier"])
    assert not {"order_id", "tier"} & set(events["d-2"])


@pytest.mark.swallow
def test_wrong_calls_never_raise_into_the_application(app: App) -> None:
    """A float for money, an event that is not declared, money from the app's code: counted, never raised."""
    app.instrument()
    bind(order_id="o-1", subtotal=12.5, currency="EUR")  # type: ignore[arg-type]
    track("no.such.event", order_id="o-1")
    track("order.paid", order_id="o-1", amount_minor=1, currency="EUR")
    track("design.approved", design_id="d-1", customer_name="Jane")
    flush(60)

    assert ["design.approved"] == [log.name for log in app.receiver.logs]
    assert "customer_name" not in app.receiver.logs[0].attributes
    failures = {dict(key)["step"]: value for key, value in app.metric("otel_revenue.failures").items()}
    assert {"api.bind": 1, "api.track": 2} == failures


def test_what_waits_is_shown_in_money(app: App) -> None:
    """While the far end answers 503, the metrics say how much money is unconfirmed, per currency."""
    app.receiver.status = 503
    app.instrument()
    app.handle(1)
    app.handle(2, currency="jpy", amount_total=900)
    assert not flush(2)
    time.sleep(1.1)  # what the gauges show may be a second old

    assert {(("currency", "EUR"),): 4201, (("currency", "JPY"),): 900} == app.metric("otel_revenue.outbox.unconfirmed")
    assert {(): 2} == app.metric("otel_revenue.outbox.pending")
    app.receiver.status = 200
    assert wait_for(lambda: len(app.receiver.named("order.paid")) == 2)


def test_a_wrong_key_sets_nothing_aside(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """401 holds the destination with one loud line; with the right key everything goes out."""
    app.receiver.status = 401
    app.instrument()
    for number in range(3):
        app.handle(number)
        flush(1)
    time.sleep(1.1)

    assert {(): 1} == app.metric("otel_revenue.delivery.held")
    assert {(): 0} == app.metric("otel_revenue.outbox.set_aside")
    assert 1 == sum("refuses us" in record.message for record in caplog.records)
    app.receiver.status = 200
    assert flush(60)
    assert 3 == len(app.receiver.named("order.paid"))


def test_refused_events_are_kept(app: App) -> None:
    """400 for good: the payment is set aside with its reason, the stage too; both can be sent again."""
    app.receiver.status = 400
    app.instrument()
    app.handle(1)
    track("design.approved", design_id="d-1")
    flush(60)
    runtime = app.instrumentor.runtime
    assert runtime is not None
    store = runtime._open().store
    aside = store.rows("otlp", state="aside")

    assert {("order.paid", "http 400"), ("design.approved", "http 400")} == {(r.event_name, r.reason) for r in aside}
    app.receiver.status = 200
    assert 2 == store.retry("otlp", [r.seq for r in aside])
    assert flush(60)
    assert {"order.paid", "design.approved"} == {log.name for log in app.receiver.logs}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_after_the_first_payment(app: App) -> None:
    """Parent and child each deliver their own, each counting once; the child does not touch what the parent has opened."""
    app.instrument()
    app.handle(1)
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        code = 1
        try:
            app.handle(2)
            flush(60)  # not all of it is ours: the parent's waits in the same store
            code = 0
        finally:
            os._exit(code)
    app.handle(3)
    _, status = os.waitpid(child, 0)
    flush(60)

    assert 0 == os.waitstatus_to_exitcode(status)
    assert wait_for(lambda: len(_unique(app)) >= 3)
    assert ["o-1", "o-2", "o-3"] == sorted(_unique(app).values())


def _unique(app: App) -> dict[str, str]:
    """Orders by `event_id`: a child that ends while it sends lets its row be sent again."""
    return {e.attributes["event_id"]: e.attributes["order_id"] for e in app.receiver.named("order.paid")}


def test_a_clock_that_is_set_back_holds_no_payment(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payment went on hold two hours ahead of the time that is told now: it is recorded all the same, within the hold."""
    app.instrument(enrich_hold=30)
    app.handle(1)
    assert flush(60)
    real = time.time_ns
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time_ns", lambda: real() + 7200 * 10**9)
        app.handle_event(
            "payment_intent.succeeded",
            {
                "id": "pi_ahead",
                "object": "payment_intent",
                "status": "succeeded",
                "amount_received": 1500,
                "currency": "eur",
                "created": int(time.time()),
                "payment_details": {"order_reference": "cs_test_that_nobody_tells_of"},
            },
        )
        assert 1 == len(app.receiver.named("order.paid"))

    assert wait_for(lambda: len(app.receiver.named("order.paid")) == 2)


_OLD = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from otel_revenue import RevenueInstrumentor
RevenueInstrumentor().instrument()
import stripe
print("stripe", stripe.VERSION, "imported", sorted(t for t in sys.modules if t.startswith("stripe")))
RevenueInstrumentor().uninstrument()
"""


def test_an_older_stripe_stays_as_it_is(tmp_path: Path) -> None:
    """With a stripe that is too old the plugin is dormant, says so in one line, and the import works as before."""
    (tmp_path / "stripe-7.14.0.dist-info").mkdir()
    (tmp_path / "stripe-7.14.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: stripe\nVersion: 7.14.0\n"
    )
    (tmp_path / "stripe").mkdir()
    (tmp_path / "stripe" / "__init__.py").write_text("VERSION = '7.14.0'\nfrom . import _api_requestor, _webhook\n")
    (tmp_path / "stripe" / "_api_requestor.py").write_text("class APIRequestor:\n    pass\n")
    (tmp_path / "stripe" / "_webhook.py").write_text("class WebhookSignature:\n    pass\n")
    done = subprocess.run(
        [sys.executable, "-c", _OLD],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert "stripe 7.14.0 imported ['stripe', 'stripe._api_requestor', 'stripe._webhook']" in done.stdout
    assert 1 == done.stderr.count("too old")
    assert "Traceback" not in done.stderr
