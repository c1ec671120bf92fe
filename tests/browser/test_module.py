"""The browser's module, in a real Chromium, against a far end on loopback."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from otel_revenue.browser.limits import MAX_BODY, MAX_EVENTS
from support.browser import parts
from support.receiver import wait_for
from support.site import SCRIPT, Site

if TYPE_CHECKING:
    from support.browser import Visitor

BOUND_S = 45.0
STORED = "sessionStorage.getItem('otel-revenue')"
IMPORT = "import('/otel-revenue/otel-revenue.js')"
STRICT = {"Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'"}


def arrived(site: Site, count: int) -> bool:
    """Wait until as many events have arrived; False where they have not, or are more."""
    wait_for(lambda: len(site.records) >= count, BOUND_S)
    return len(site.records) == count


def settled(visitor: Visitor, bound_s: float = BOUND_S) -> bool:
    """Wait until the page has been told of everything that it posted."""
    return wait_for(lambda: visitor.on_page(f"JSON.stringify(JSON.parse({STORED}).waiting)") == "{}", bound_s)


def track(visitor: Visitor, name: Any, attributes: Any = None) -> None:
    """Call `trackEvent` as a page's code does."""
    visitor.on_page(
        f"{IMPORT}.then((ours) => ours.trackEvent(args.name, args.attributes))", name=name, attributes=attributes
    )


def test_an_element_says_its_stage_when_the_page_opens(visitor: Visitor, site: Site) -> None:
    """An element that is no control is a stage of its page: its attributes in the schema's types, on the trace of the page."""
    site.pages["/"] = (
        f'<meta name="traceparent" content="00-{"a" * 32}-{"b" * 16}-01">{SCRIPT}<main data-otel-revenue="checkout.start" '
        'data-otel-revenue-tier=" pro " data-otel-revenue-item-count="2" data-otel-revenue-skus="a-1, b-2" data-otel-revenue-amount="9">'
    )
    begun_ns = time.time_ns()
    visitor.goto(f"{site.url}/checkout")

    assert arrived(site, 1)
    (record,) = site.records
    journey, uid = (record["attributes"].pop(key) for key in ("journey_id", "log.record.uid"))
    assert ("checkout.start", "a" * 32, "b" * 16, 1) == (
        record["eventName"], record["traceId"], record["spanId"], record["flags"],
    )  # fmt: skip
    assert {"tier": "pro", "item_count": "2", "skus": ["a-1", "b-2"], "surface": "/checkout"} == record["attributes"]
    assert (True, True) == (bool(re.fullmatch("j-[0-9a-f]{32}", journey)), bool(re.fullmatch("[0-9a-f]{32}", uid)))
    assert begun_ns - 10**9 < int(record["timeUnixNano"]) <= int(record["observedTimeUnixNano"])


@pytest.mark.parametrize(
    ("html", "act"),
    [
        pytest.param('<a href="#x" data-otel-revenue="checkout.start"><b id="go">Pay</b></a>', "click", id="inside of a link"),
        pytest.param('<button id="go" data-otel-revenue="checkout.start" onclick="event.stopPropagation()">Pay</button>', "click", id="button"),
        pytest.param('<form data-otel-revenue="checkout.start" action="/next"><button id="go">Pay</button></form>', "click", id="form"),
    ],
)  # fmt: skip
def test_a_control_says_it_when_it_is_used(visitor: Visitor, site: Site, html: str, act: str) -> None:
    """A link, button or form says its stage when it is clicked or submitted, once, and not when the page opens."""
    site.pages |= {"/": f"{SCRIPT}{html}", "/next": "<p>next"}
    visitor.goto(site.url)
    before = len(site.records)
    visitor.do("await page.click('#go')")

    assert (0, True) == (before, arrived(site, 1))


def test_the_compilers_words_for_an_event_are_taken(visitor: Visitor, site: Site) -> None:
    """`trackEvent` sends what the schema lets a browser say, in its types; the rest, and what is of another type, is left out."""
    site.pages["/"] = SCRIPT
    visitor.goto(site.url)
    long = "x" * 300
    track(visitor, "design.approved", {
        "design_id": 311, "duration_ms": 61000, "tier": long, "order_id": long, "amount": 1, "amount_minor": 1, "currency": "EUR",
        "country": "DE", "email": "ada@person.example", "__proto__": {"surface": "polluted"}, "constructor": "x", "surface": "explicit",
    })  # fmt: skip
    track(visitor, "checkout.start", {"item_count": -1, "skus": [], "tier": {"a": 1}, "order_id": ""})
    track(visitor, "design.started", {"design_id": None, "tier": ["a"], "synthetic": False})

    assert arrived(site, 3)
    approved, start, started = (site.named(n)[0] for n in ("design.approved", "checkout.start", "design.started"))
    ours = {"journey_id": approved["journey_id"]}
    for event in (approved, start, started):
        del event["log.record.uid"]
    assert {**ours, "design_id": "311", "duration_ms": "61000", "tier": "x" * 254, "surface": "explicit"} == approved
    assert {**ours, "surface": "/"} == started
    assert {**ours, "surface": "/"} == start


@pytest.mark.parametrize(
    "name", ["order.paid", "checkout.session_created", "page.view", "", "toString", "__proto__", None, 7, {}]
)
def test_other_events_are_not_sent(visitor: Visitor, site: Site, name: Any) -> None:
    """What the schema does not give to browsers is not even posted, and nothing is thrown."""
    site.pages["/"] = SCRIPT
    visitor.goto(site.url)
    track(visitor, name, {"tier": "pro"})
    track(visitor, "design.started")

    assert (True, ["design.started"], []) == (arrived(site, 1), [r["eventName"] for r in site.records], visitor.errors)


def test_the_running_web_sdks_span_comes_before_the_pages(visitor: Visitor, site: Site) -> None:
    """With OpenTelemetry's own API in the page, an event stands on the span that is active when it is recorded; else on the page's."""
    api = parts() / "node_modules" / "@opentelemetry" / "api" / "dist"
    site.files = {f"/api/{path.relative_to(api)}": path.read_text() for path in api.rglob("*.mjs")}
    site.pages["/"] = f'<meta name="traceparent" content="00-{"a" * 32}-{"b" * 16}-01">{SCRIPT}'
    visitor.goto(site.url)
    visitor.on_page(
        "Promise.all([import('/api/index.mjs'), import('/otel-revenue/otel-revenue.js')]).then(([api, ours]) => {"
        "  let active = api.ROOT_CONTEXT;"
        "  api.context.setGlobalContextManager({ active: () => active, enable() {}, disable() {}, bind: (_, f) => f,"
        "    with(context, f) { const before = active; active = context; try { return f() } finally { active = before } } });"
        "  const span = api.trace.wrapSpanContext({ traceId: args.trace, spanId: args.span, traceFlags: 1 });"
        "  api.context.with(api.trace.setSpan(api.ROOT_CONTEXT, span), () => ours.trackEvent('design.started'));"
        "  ours.trackEvent('design.approved'); })",
        trace="c" * 32,
        span="d" * 16,
    )

    assert arrived(site, 2)
    assert {"design.started": ("c" * 32, "d" * 16, 1), "design.approved": ("a" * 32, "b" * 16, 1)} == {
        record["eventName"]: (record["traceId"], record["spanId"], record["flags"]) for record in site.records
    }


# -- surface and journey -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "surface"),
    [
        ("/?utm_source=News&utm_medium=e-mail&utm_campaign=Spring&gclid=abc123", "news/e-mail"),
        ("/?utm_source=news&utm_medium=Cj0KCQiA1234567", "news"),
        ("/?utm_source=ada@person.example", "/"),
        ("/?utm_medium=cpc", "/"),
        (f"/?utm_source={'x' * 41}", "/"),
        ("/pricing/teams/ada", "/pricing"),
        ("/%3Cscript%3E/x", "/"),
        ("/order-4711042/x", "/"),
        ("/", "/"),
    ],
)  # fmt: skip
def test_the_first_page_decides_the_surface(visitor: Visitor, site: Site, path: str, surface: str) -> None:
    """The campaign, or else the section of the first page, is the surface of all later pages of the tab; one journey goes through."""
    site.pages["/"] = SCRIPT
    visitor.goto(f"{site.url}{path}")
    visitor.goto(f"{site.url}/later?utm_source=other")
    track(visitor, "design.started")
    visitor.goto(f"{site.url}/checkout")
    track(visitor, "checkout.start")

    assert arrived(site, 2)
    assert ({surface}, 1) == (
        {record["attributes"]["surface"] for record in site.records},
        len({record["attributes"]["journey_id"] for record in site.records}),
    )


@pytest.mark.parametrize(
    ("host", "surface"),
    [
        ("www.news.example", "news.example"),
        ("www.shop.example", "/landing"),
        ("127.0.0.1", "/landing"),
        ("localhost", "/landing"),
    ],
)
def test_who_linked_to_us_is_the_surface_where_no_campaign_is(
    visitor: Visitor, site: Site, host: str, surface: str
) -> None:
    """The host that a visitor comes from, without path and query; the site itself, or an address in numbers, is nobody to come from."""
    site.pages |= {"/": SCRIPT, "/start": '<meta name="referrer" content="unsafe-url"><a id="go">in</a>'}
    port = site.url.rpartition(":")[2]
    visitor.goto(f"http://{host}:{port}/start?private=1")
    landing = f"http://shop.example:{port}/landing"
    visitor.do(
        "await page.evaluate((url) => { document.querySelector('a').href = url }, args.url); await page.click('a')",
        url=landing,
    )
    track(visitor, "design.started")

    assert (True, surface) == (arrived(site, 1), site.named("design.started")[0]["surface"])


def test_the_pages_own_surface_comes_first(visitor: Visitor, site: Site) -> None:
    """What the page declares stands for its events, and begins a visit that begins there; `journey()` says what goes to the server."""
    site.pages |= {"/": SCRIPT, "/pricing": f'<meta name="otel-revenue" data-surface="pricing-page">{SCRIPT}'}
    visitor.goto(f"{site.url}/pricing?utm_source=news")
    track(visitor, "design.started")
    visitor.goto(f"{site.url}/next")
    known = visitor.on_page(f"{IMPORT}.then((ours) => ours.journey())")
    track(visitor, "checkout.start")

    assert arrived(site, 2)
    assert ["pricing-page", "pricing-page"] == [record["attributes"]["surface"] for record in site.records]
    assert {"surface": "pricing-page", "journey_id": site.records[0]["attributes"]["journey_id"]} == known


def test_another_tab_is_another_journey_and_nothing_outlives_it(visitor: Visitor, site: Site) -> None:
    """No cookie, no storage beyond the tab's: a second tab of the same visitor is another journey."""
    site.pages["/"] = SCRIPT
    for _ in range(2):
        visitor.goto(site.url)
        track(visitor, "design.started")
        visitor.on_page("0")
        visitor.do("const tab = await context.newPage(); await tab.goto(args.url); await tab.evaluate(() => "
                   f"{IMPORT}.then((ours) => ours.trackEvent('checkout.start'))); await tab.close()", url=site.url)  # fmt: skip
    arrived(site, 4)
    kept = visitor.do(
        "return [await context.cookies(), await page.evaluate(() => [document.cookie, localStorage.length])]"
    )

    assert (3, [[], ["", 0]]) == (len({r["attributes"]["journey_id"] for r in site.records}), kept)


# -- consent ---------------------------------------------------------------------------------------------------------------

ASKS = f'<meta name="otel-revenue" data-consent="required">{SCRIPT}<main data-otel-revenue="checkout.start">'


def test_before_consent_nothing_is_sent_or_kept(visitor: Visitor, site: Site) -> None:
    """Where consent is required, nothing leaves and nothing is stored until it is given; what the page held then goes."""
    site.pages["/"] = ASKS
    visitor.goto(f"{site.url}/?utm_source=news")
    track(visitor, "design.started")
    before = visitor.on_page(
        f"{IMPORT}.then((ours) => [sessionStorage.length, document.cookie, ours.journey() ?? null])"
    )
    posted = len(site.posts)
    visitor.on_page(f"{IMPORT}.then((ours) => ours.consent(true))")

    assert ([0, "", None], 0) == (before, posted)
    assert (True, ["checkout.start", "design.started"]) == (arrived(site, 2), [r["eventName"] for r in site.records])
    assert {"news"} == {record["attributes"]["surface"] for record in site.records}


def test_a_no_holds_for_what_is_on_its_way(visitor: Visitor, site: Site) -> None:
    """An answer that comes after the visitor's no brings nothing back into the storage."""
    site.pages["/"] = ASKS
    visitor.goto(site.url)
    visitor.on_page(
        f"{IMPORT}.then((ours) => {{ const send = window.fetch; window.answered = new Promise((done) => {{ window.fetch = (...given) => "
        "send(...given).then((answer) => { ours.consent(false); setTimeout(done, 50); return answer; }); }); ours.consent(true); })"
    )
    visitor.on_page("window.answered")

    assert (None, True) == (visitor.on_page(STORED), arrived(site, 1))


@pytest.mark.parametrize("given", ["false", "undefined", "'yes'", "1"])
def test_a_no_forgets_everything(visitor: Visitor, site: Site, given: str) -> None:
    """A no, or anything but a plain yes, drops what waited, empties the storage, and holds for the page."""
    site.pages["/"] = ASKS
    visitor.goto(site.url)
    visitor.on_page(f"{IMPORT}.then((ours) => ours.consent(true))")
    arrived(site, 1)
    visitor.on_page(f"{IMPORT}.then((ours) => ours.consent({given}))")
    track(visitor, "design.started")
    kept = visitor.on_page(STORED)
    visitor.goto(f"{site.url}/next")

    assert (None, None, 1) == (kept, visitor.on_page(STORED), len(site.records))


def test_global_privacy_control_is_a_no(visitor: Visitor, site: Site) -> None:
    """Under Global Privacy Control nothing is sent or kept, whatever the banner says."""
    site.pages["/"] = ASKS
    visitor.do(
        "await context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true }))"
    )
    visitor.goto(site.url)
    visitor.on_page(f"{IMPORT}.then((ours) => ours.consent(true))")
    track(visitor, "checkout.start")
    visitor.goto(f"{site.url}/next")

    assert ([], None, []) == (site.posts, visitor.on_page(STORED), visitor.errors)


# -- leaving, failing, coming back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("keepalive", [True, False], ids=["fetch", "sendBeacon"])
def test_a_click_that_leaves_is_not_lost(visitor: Visitor, site: Site, keepalive: bool) -> None:
    """A click on a link to another origin is recorded although the page, and then the tab, is gone at once; no cookie goes along."""
    site.pages |= {"/": f'{SCRIPT}<a id="go" data-otel-revenue="checkout.start">Pay</a>', "/pay": "Stripe"}
    if not keepalive:
        visitor.do("await context.addInitScript(() => delete Request.prototype.keepalive)")
    visitor.goto(site.url)
    visitor.on_page(
        "document.querySelector('a').href = args.url; 0", url=site.url.replace("127.0.0.1", "localhost") + "/pay"
    )
    visitor.click_and_close("#go")

    assert arrived(site, 1)
    headers, _ = site.posts[0]
    assert ("application/json", None) == (headers["content-type"], headers.get("cookie"))


@pytest.mark.parametrize("status", [503, 500, 429, 408, None], ids=str)
def test_what_failed_is_sent_again_from_the_next_page(visitor: Visitor, site: Site, status: int | None) -> None:
    """What the far end could not take, or did not answer, goes again when the next page opens, under the same id and time."""
    site.pages["/"] = SCRIPT
    site.status = status
    visitor.goto(site.url)
    track(visitor, "design.started")
    wait_for(lambda: visitor.on_page(f"Object.keys(JSON.parse({STORED}).waiting).length") == 1, BOUND_S)
    ((uid, record),) = visitor.on_page(f"Object.entries(JSON.parse({STORED}).waiting)")
    site.status = 202
    visitor.goto(f"{site.url}/next")

    assert (True, True) == (arrived(site, 1), settled(visitor))
    assert (uid, record["timeUnixNano"]) == (
        site.named("design.started")[0]["log.record.uid"],
        site.records[0]["timeUnixNano"],
    )


def test_offline_and_then_the_next_page(visitor: Visitor, site: Site) -> None:
    """Events of a visitor without network wait, and go when the network is back."""
    site.pages["/"] = SCRIPT
    visitor.goto(site.url)
    track(visitor, "checkout.start")
    arrived(site, 1)
    settled(visitor)
    visitor.do("await context.setOffline(true)")
    for _ in range(3):
        track(visitor, "design.started")
    waiting = visitor.on_page(f"Object.keys(JSON.parse({STORED}).waiting).length")
    visitor.do("await context.setOffline(false)")
    visitor.goto(f"{site.url}/next")

    assert (3, True, True) == (waiting, arrived(site, 4), settled(visitor))


@pytest.mark.parametrize("status", [400, 403, 413])
def test_a_refusal_is_not_repeated(visitor: Visitor, site: Site, status: int) -> None:
    """What the far end refuses for good does not wait."""
    site.pages["/"] = SCRIPT
    site.status = status
    visitor.goto(site.url)
    track(visitor, "design.started")

    assert settled(visitor)


def test_what_waits_is_bounded(visitor: Visitor, site: Site) -> None:
    """Of a page that records without end, while nothing is taken, fifty events wait; they go in posts within the route's limits."""
    site.pages["/"] = SCRIPT
    site.status = 503
    visitor.goto(site.url)
    visitor.on_page(
        f"{IMPORT}.then(async (ours) => {{ for (let i = 0; i < 200; i++) {{ ours.trackEvent('checkout.start', "
        "{ tier: 'ü'.repeat(254), skus: Array(200).fill('ü'.repeat(20)), item_count: i }); await null; } })"
    )
    site.status = 202

    def gone() -> bool:
        visitor.goto(
            f"{site.url}/next"
        )  # requests of the first page may outlive it, and keep this page's from beginning
        return settled(visitor, 5)

    assert (True, True) == (wait_for(gone, BOUND_S), arrived(site, 50))
    assert [str(number) for number in range(150, 200)] == [
        record["attributes"]["item_count"] for record in site.records
    ]
    assert (True, True) == (
        max(int(headers["content-length"]) for headers, _ in site.posts) <= MAX_BODY,
        max(len(body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]) for _, body in site.posts) <= MAX_EVENTS,
    )


def test_a_page_that_nobody_has_seen_yet_says_nothing(visitor: Visitor, site: Site) -> None:
    """A page that the browser opens ahead of time has its stages when it is shown, and not before."""
    site.pages["/"] = f'{SCRIPT}<main data-otel-revenue="checkout.start">'
    visitor.do(
        "await context.addInitScript(() => Object.defineProperty(Document.prototype, 'prerendering', { get: () => !window.shown }))"
    )
    visitor.goto(site.url)
    visitor.on_page(f"{IMPORT}.then(() => new Promise((done) => setTimeout(done, 50)))")
    before = len(site.posts)
    visitor.on_page("(window.shown = true, document.dispatchEvent(new Event('prerenderingchange')), 0)")

    assert (0, True) == (before, arrived(site, 1))


# -- a guest in somebody else's page -----------------------------------------------------------------------------------------


def test_a_strict_policy_is_enough(visitor: Visitor, site: Site) -> None:
    """Under a Content Security Policy that allows scripts and connections of the own origin alone it runs, without a complaint."""
    site.headers = STRICT
    site.pages["/"] = f'{SCRIPT}<main data-otel-revenue="checkout.start">'
    visitor.goto(site.url)

    assert (True, True, []) == (arrived(site, 1), settled(visitor), visitor.errors)


@pytest.mark.parametrize(
    "broken",
    [
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('denied', 'SecurityError') } })",
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }",
        "Storage.prototype.getItem = () => 'no JSON'",
        "Storage.prototype.getItem = () => '{\"waiting\": 7, \"journey\": {}}'",
        "sessionStorage.setItem('otel-revenue', '[1, 2]')",
        "window.fetch = () => { throw new TypeError('gone') }",
        "delete window.fetch",
        "delete window.crypto; Object.defineProperty(window, 'crypto', { value: undefined })",
        "window[Symbol.for('opentelemetry.js.api.1')] = { context: { active() { throw new Error('theirs') } } }",
        "Array.prototype.filter = undefined",
    ],
    ids=lambda broken: broken[:60],
)  # fmt: skip
def test_whatever_is_broken_nothing_is_thrown_into_the_page(visitor: Visitor, site: Site, broken: str) -> None:
    """Storage that is denied, full or spoilt, a missing fetch, somebody else's error: the page sees no error, and its links work."""
    site.pages |= {
        "/": f'{SCRIPT}<a id="go" href="/next" data-otel-revenue="checkout.start">Pay</a>',
        "/next": "<p>next",
    }
    visitor.do("await context.addInitScript({ content: args.broken })", broken=broken)
    visitor.goto(site.url)
    track(visitor, "design.started", {"tier": "pro"})
    visitor.on_page(f"{IMPORT}.then((ours) => {{ ours.journey(); ours.consent(true); ours.consent(false); }})")
    visitor.do("await page.click('#go'); await page.waitForURL('**/next')")

    assert [] == visitor.errors


@pytest.mark.parametrize("broken", [
    "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('denied', 'SecurityError') } })",
    "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }",
    "window[Symbol.for('opentelemetry.js.api.1')] = { context: { active() { throw new Error('theirs') } } }",
], ids=["denied", "full", "tracing"])  # fmt: skip
def test_without_storage_or_tracing_events_still_go(visitor: Visitor, site: Site, broken: str) -> None:
    """Where the browser gives no storage, or the page's tracing is broken, events are sent all the same."""
    site.pages["/"] = SCRIPT
    visitor.do("await context.addInitScript({ content: args.broken })", broken=broken)
    visitor.goto(site.url)
    track(visitor, "design.started")
    track(visitor, "checkout.start")

    assert (True, 1) == (arrived(site, 2), len({record["attributes"]["journey_id"] for record in site.records}))


def test_a_driven_browser_says_that_it_is(visitor: Visitor, site: Site) -> None:
    """`navigator.webdriver` marks the events as synthetic."""
    site.pages["/"] = SCRIPT
    visitor.do(
        "await context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'webdriver', { get: () => true }))"
    )
    visitor.goto(site.url)
    track(visitor, "design.started")

    assert (True, True) == (arrived(site, 1), site.named("design.started")[0]["synthetic"])
