# SPDX-License-Identifier: Apache-2.0
"""The route that takes what browsers tell, through both edges, in an instrumented application, with a real receiver."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from otel_revenue import flush, track
from otel_revenue.browser import reading, service
from otel_revenue.browser.limits import MAX_BODY
from otel_revenue.browser.rates import ALL_PER_S
from otel_revenue.delivery import segment
from support.browser_posts import FROM_PAGE, Asgi, Sent, Wsgi, body, record

if TYPE_CHECKING:
    from support.instrumented import App

PROXY = "10.0.0.3"
UID = "0123456789abcdef0123456789abcdef"


@pytest.fixture(params=[Asgi, Wsgi])
def edge(request: pytest.FixtureRequest) -> Any:
    return request.param()


def refused(app: App) -> dict[str, float]:
    """What the metric says, by reason."""
    return {dict(labels)["reason"]: count for labels, count in app.metric("otel_revenue.browser.refused").items()}


def test_an_event_arrives(app: App, edge: Any) -> None:
    """What a page posts is answered 202 at once, and arrives as a log event of the schema, on the page's trace, as a browser's word."""
    app.instrument()
    at_ns = time.time_ns() - 10**9
    entry = record(at_ns=at_ns, uid=UID, tier="pro", surface="utm:news", order_id="o-1", skus=["a-1"], item_count=2)
    reply = edge.ask(Sent(chunks=[body({**entry, "traceId": "a" * 32, "spanId": "b" * 16, "flags": 1})]))
    flush(45)
    (event,) = app.receiver.named("checkout.start")

    assert (202, {"accepted": 1}, "no-store") == (reply.status, reply.said, reply.headers["cache-control"])
    assert (at_ns, "a" * 32, "b" * 16) == (event.time_ns, event.trace_id, event.span_id)
    assert {
        "event_id": str(reading.uuid.uuid5(reading.NAMESPACE, UID)), "schema_version": "1.0", "telemetry.source": "browser",
        "tier": "pro", "surface": "utm:news", "surface_source": "browser", "order_id": "o-1", "skus": ["a-1"], "item_count": 2,
    } == event.attributes  # fmt: skip


def test_what_is_sent_twice_is_one_event(app: App, edge: Any) -> None:
    """A post whose answer did not reach the page is sent again: the same id, the same time."""
    app.instrument()
    entry = record(uid=UID)
    for _ in range(2):
        edge.ask(Sent(chunks=[body(entry)]))
    flush(45)
    seen = {(e.attributes["event_id"], e.time_ns) for e in app.receiver.named("checkout.start")}

    assert 1 == len(seen)


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        pytest.param({"method": "PUT"}, 405, "method", id="method"),
        pytest.param({"method": "GET"}, 405, "method", id="opened as a page"),
        pytest.param({"headers": {**FROM_PAGE, "sec-fetch-site": "cross-site"}}, 403, "origin", id="foreign origin"),
        pytest.param({"headers": {"host": "shop.example", "content-type": "application/json"}}, 403, "origin", id="no browser"),
        pytest.param({"headers": {**FROM_PAGE, "sec-gpc": "1"}}, 403, "privacy", id="Global Privacy Control"),
        pytest.param({"headers": {**FROM_PAGE, "content-type": "text/plain"}}, 415, "media_type", id="text"),
        pytest.param({"headers": {**FROM_PAGE, "content-encoding": "gzip"}}, 415, "media_type", id="compressed"),
        pytest.param({"chunks": [b"{"]}, 400, "malformed", id="malformed"),
        pytest.param({"chunks": [b"[" * MAX_BODY]}, 400, "malformed", id="nested"),
        pytest.param({"chunks": [body(*[record()] * 21)]}, 413, "events", id="too many events"),
        pytest.param({"chunks": [b"x" * 5_000_000]}, 413, "size", id="5 MB"),
        pytest.param({"headers": {**FROM_PAGE, "content-length": "-1"}}, 413, "size", id="negative length"),
        pytest.param({"headers": {**FROM_PAGE, "content-length": "9" * 400}}, 413, "size", id="length without end"),
        pytest.param({"chunks": [body(record("order.paid", amount_minor=1, currency="EUR"))]}, 400, "money", id="forged payment"),
        pytest.param({"chunks": [body(record("page.view"))]}, 400, "event", id="unknown event"),
    ],
)  # fmt: skip
def test_what_may_not_be_is_refused_with_its_reason(
    app: App, edge: Any, sent: dict[str, Any], status: int, reason: str
) -> None:
    """A refusal has a status, says its reason and is counted by it; nothing of the post is recorded."""
    app.instrument()
    reply = edge.ask(Sent(**{"chunks": [body(record())], **sent}))
    told = reply.said.get("reason") or next(iter(reply.said["refused"]))
    flush(45)

    assert (status, reason, {reason: 1}, []) == (reply.status, told, refused(app), app.receiver.logs)


def test_good_events_of_a_post_are_kept(app: App, edge: Any) -> None:
    """What is wrong with one event or attribute of a post takes nothing else with it, and is told and counted."""
    app.instrument()
    wrong = [
        record("order.paid", amount=1.0),
        record(tier="ada@person.example"),
        record("design.started", country="DE"),
    ]
    reply = edge.ask(Sent(chunks=[body(*wrong, record(at_ns=0, sent_ns=1))]))
    flush(45)

    assert (202, {"accepted": 3, "refused": {"money": 1, "personal": 1, "attribute": 1, "clock": 1}}) == (
        reply.status,
        reply.said,
    )
    assert {"money": 1, "personal": 1, "attribute": 1, "clock": 1} == refused(app)
    assert ["checkout.start", "checkout.start", "design.started"] == sorted(log.name for log in app.receiver.logs)


def test_a_large_body_is_not_read(app: App, edge: Any) -> None:
    """Of five megabytes whose length is said nothing is read."""
    app.instrument()
    reply = edge.ask(Sent(chunks=[b"x" * 4096] * 1200))

    assert (413, 0) == (reply.status, edge.taken)


def test_a_body_that_does_not_end_is_cut(app: App) -> None:
    """A body without a length is read up to the limit and not a piece further."""
    app.instrument()
    edge = Asgi()
    reply = edge.ask(Sent(chunks=[b"x" * 4096] * 1200, chunked=True))

    assert (413, True) == (reply.status, edge.taken <= MAX_BODY + 4096)


def test_wsgi_needs_a_length(app: App) -> None:
    """WSGI cannot say where a body without a length ends: it is refused, unread."""
    app.instrument()
    edge = Wsgi()
    reply = edge.ask(Sent(chunks=[body(record())], chunked=True))

    assert (411, "length", 0) == (reply.status, reply.said["reason"], edge.taken)


@pytest.mark.parametrize(
    ("headers", "attributes"),
    [
        ({"sec-purpose": "prefetch;prerender"}, {}),
        ({"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, {}),
        ({}, {"synthetic": True}),
    ],
    ids=["prefetch", "bot", "webdriver"],
)
def test_machines_are_marked(app: App, edge: Any, headers: dict[str, str], attributes: dict[str, Any]) -> None:
    """What a machine sends is kept, as synthetic."""
    app.instrument()
    edge.ask(Sent(headers={**FROM_PAGE, **headers}, chunks=[body(record(**attributes))]))
    flush(45)

    assert [True] == [log.attributes["synthetic"] for log in app.receiver.named("checkout.start")]


def test_an_origin_of_the_list_may_post(app: App, edge: Any) -> None:
    """A listed origin is asked beforehand by the browser, may post and read the answer; another one gets no such header."""
    app.instrument(browser_origins="https://www.shop.example")
    theirs = {**FROM_PAGE, "sec-fetch-site": "cross-site"}
    listed, other = ({**theirs, "origin": f"https://{name}.shop.example"} for name in ("www", "evil"))
    ahead = edge.ask(Sent(method="OPTIONS", headers=listed))
    posted = edge.ask(Sent(headers=listed, chunks=[body(record())]))
    no, denied = edge.ask(Sent(method="OPTIONS", headers=other)), edge.ask(Sent(headers=other, chunks=[body(record())]))
    allow = "access-control-allow-origin"

    assert (204, "POST", "content-type", "https://www.shop.example", "https://www.shop.example", 202) == (
        ahead.status, ahead.headers["access-control-allow-methods"], ahead.headers["access-control-allow-headers"],
        ahead.headers[allow], posted.headers[allow], posted.status,
    )  # fmt: skip
    assert (None, None, 403) == (no.headers.get(allow), denied.headers.get(allow), denied.status)


def test_one_visitor_has_so_many_posts(app: App, edge: Any) -> None:
    """Beyond the limit a visitor is told to wait, before a byte of the body is read; the others are not touched."""
    app.instrument(browser_rate=1, browser_client_header="X-Real-IP")
    sent = [Sent(headers={**FROM_PAGE, "x-real-ip": f"8.8.8.8, {address}"}, chunks=[body(record())], client=PROXY)
            for address in ("8.8.4.4",) * 4 + ("9.9.9.9",)]  # fmt: skip
    replies = [edge.ask(one) for one in sent]

    assert [202, 202, 429, 429, 202] == [reply.status for reply in replies]
    assert ("30", 3 * len(sent[0].chunks[0]), {"rate": 2}) == (  # type: ignore[index]
        replies[2].headers["retry-after"], edge.taken, refused(app),
    )  # fmt: skip


def test_a_flood_costs_no_reading(app: App, edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten thousand posts from behind one proxy in a moment no more than a second's are read; the rest is counted, unread."""
    app.instrument()
    monkeypatch.setattr(edge_service(edge), "_now_s", lambda: 5.0)
    content = body(record())
    statuses = [edge.ask(Sent(chunks=[content], client=PROXY)).status for _ in range(10_000)]
    allowed = int(2 * ALL_PER_S)

    assert (allowed, 10_000 - allowed) == (statuses.count(202), statuses.count(429))
    assert (allowed * len(content), {"rate": 10_000 - allowed}) == (edge.taken, refused(app))


def edge_service(edge: Any) -> service.Service:
    """The service behind an edge."""
    cells = edge._app.__closure__
    return next(c.cell_contents for c in cells if isinstance(c.cell_contents, service.Service))


def test_without_instrumentation_nothing_is_taken(edge: Any) -> None:
    """Where nothing would record it, the page is told to come again; the module itself is served all the same."""
    reply = edge.ask(Sent(chunks=[body(record())]))
    served = edge.ask(Sent(method="GET", path="/otel-revenue/otel-revenue.js"))

    assert (503, "inactive", 0, 200) == (reply.status, reply.said["reason"], edge.taken, served.status)


@pytest.mark.parametrize(
    "path",
    ["/", "/checkout", "/otel-revenue", "/otel-revenue/", "/v1/logs", "/otel-revenue.js", "/otel-revenue/v1/logs/x"],
)
def test_everything_else_is_the_applications(edge: Any, path: str) -> None:
    """A path that is not ours goes through."""
    assert b"app" == edge.ask(Sent(path=path, chunks=[b"x"])).body


def test_where_events_leave_on_spans_alone_nothing_is_taken(app: App, edge: Any) -> None:
    """A browser's event has no span here: where there are no log events, the page is told so, instead of being believed in vain."""
    app.instrument(event_signal="spans")

    assert (503, {"inactive": 1}) == (edge.ask(Sent(chunks=[body(record())])).status, refused(app))


def test_no_post_waits_for_the_disk(app: App, edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the application's own events are synced, those that anybody may send are not."""
    calls: list[int] = []
    monkeypatch.setattr(segment, "_sync", calls.append)
    app.instrument(spool_sync="true")
    reply = edge.ask(Sent(chunks=[body(*[record()] * 5)]))
    after = len(calls)
    track("checkout.start")

    assert ({"accepted": 5}, 0, 1) == (reply.said, after, len(calls))


@pytest.mark.swallow
def test_an_event_that_cannot_be_written_is_asked_for_again(
    app: App, edge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where recording fails, the page is told to come again, and the application does not see the failure."""
    app.instrument()

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(app.instrumentor.runtime, "track_browser", fails)
    reply = edge.ask(Sent(chunks=[body(record())]))

    assert (503, "busy", {"busy": 1}) == (reply.status, json.loads(reply.body)["reason"], refused(app))
