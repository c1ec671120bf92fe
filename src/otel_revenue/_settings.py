# SPDX-License-Identifier: Apache-2.0
"""
The settings themselves: name, default, meaning, shape and example of each. `docs/settings.md` is generated from here.

`config` reads them, and is where they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import _parsers as shapes

if TYPE_CHECKING:
    from collections.abc import Callable


def setting(env: str, *, default: Any, parse: Callable[[str], Any], meaning: str, shape: str, example: str) -> Any:
    """
    Declare one setting.

    Args:
        env: name of the environment variable; the key in `otel-revenue.yaml` is the same without prefix, in lower case.
        default: the parsed value when nothing is set.
        parse: text to value; raises ValueError.
        meaning: what it does, for the settings table.
        shape: what a value must look like, for the error text.
        example: a good value, for the error text.
    """
    return field(
        default=default,
        metadata={"env": env, "parse": parse, "meaning": meaning, "shape": shape, "example": example},
    )


@dataclass(frozen=True)
class Settings:
    """Every setting of otel-revenue. Build it with `load`, or by keyword in tests."""

    store: str = setting(
        "OTEL_REVENUE_STORE",
        default="",
        parse=shapes.store,
        meaning="Where ledger, outbox and spool live: a folder, `sqlite:///path`, `:memory:`, or for ledger and outbox a database "
        "that several hosts share, `postgresql://USER:PASSWORD@HOST/DATABASE` ([postgres.md](postgres.md)). In a container, a volume. "
        "Default: `otel-revenue/<service.name>/` in the user's state folder (`$XDG_STATE_HOME` or `~/.local/state`).",
        shape="a folder, sqlite:///path, postgresql://USER:PASSWORD@HOST/DATABASE or :memory:",
        example="/var/lib/otel-revenue",
    )
    spool: str = setting(
        "OTEL_REVENUE_SPOOL",
        default="",
        parse=shapes.folder,
        meaning="Folder for what waits on this host: events that are not money, and facts that the store could not take. In a "
        "container, a volume. Default: the store's own folder; where the store is a database, the default folder of `OTEL_REVENUE_STORE`.",
        shape="a folder",
        example="/var/lib/otel-revenue",
    )
    store_busy: float = setting(
        "OTEL_REVENUE_STORE_BUSY",
        default=0.25,
        parse=shapes.seconds(0.01, 5),
        meaning="Seconds for which a request waits for a locked store; beyond it the facts are kept aside on disk and joined later.",
        shape="seconds from 0.01 to 5",
        example="0.25",
    )
    store_max_bytes: int = setting(
        "OTEL_REVENUE_STORE_MAX_BYTES",
        default=1024**3,
        parse=shapes.size,
        meaning="Size at which the oldest payments that nothing waits for leave the ledger. Waiting events never do.",
        shape="a size of 1MiB or more, in bytes, KiB, MiB or GiB",
        example="1GiB",
    )
    retention: int = setting(
        "OTEL_REVENUE_RETENTION",
        default=400 * 86400,
        parse=shapes.duration,
        meaning="How long the ledger remembers a payment after its last news. Below 30 days a manual resend in Stripe's "
        "dashboard can count a payment twice.",
        shape="a number and a unit (s, m, h, d)",
        example="400d",
    )
    hold: float = setting(
        "OTEL_REVENUE_HOLD",
        default=90.0,
        parse=shapes.seconds(0, 3600),
        meaning="Seconds for which a payment whose join is uncertain waits for the fact that settles it.",
        shape="seconds from 0 to 3600",
        example="90",
    )
    enrich_hold: float = setting(
        "OTEL_REVENUE_ENRICH_HOLD",
        default=10.0,
        parse=shapes.seconds(0, 3600),
        meaning="Seconds for which a payment that is certain, but known only from its PaymentIntent or charge, waits for the "
        "Checkout Session with order, country and items; and each decline and each end of a checkout for its order.",
        shape="seconds from 0 to 3600",
        example="10",
    )
    emit_zero: bool = setting(
        "OTEL_REVENUE_EMIT_ZERO",
        default=False,
        parse=shapes.flag,
        meaning="Whether orders of zero (100 % discount, invoices settled by credit) are recorded as `order.paid`.",
        shape="true or false",
        example="false",
    )
    order_id_from: tuple[str, ...] = setting(
        "OTEL_REVENUE_ORDER_ID_FROM",
        default=("bind", "metadata.order_id", "client_reference_id", "session.id"),
        parse=shapes.sources(
            rf"bind|client_reference_id|session\.id|payment_intent\.id|invoice\.id|metadata\.{shapes.KEY}"
        ),
        meaning="Where `order_id` comes from; the first source that has one wins. `bind` is `otel_revenue.bind(order_id=...)`.",
        shape="a comma-separated list of bind, metadata.KEY, client_reference_id, session.id, payment_intent.id, invoice.id",
        example="metadata.order_id,client_reference_id,session.id",
    )
    tier_from: tuple[str, ...] = setting(
        "OTEL_REVENUE_TIER_FROM",
        default=("bind", "metadata.tier", "line.metadata.tier", "price.metadata.tier", "product.metadata.tier"),
        parse=shapes.sources(
            rf"bind|metadata\.{shapes.KEY}|line\.metadata\.{shapes.KEY}|price\.metadata\.{shapes.KEY}|product\.metadata\.{shapes.KEY}"
            r"|price\.lookup_key|price\.id|price\.nickname"
        ),
        meaning="Where `tier` comes from; the first source that has one wins.",
        shape="a comma-separated list of bind, metadata.KEY, line.metadata.KEY, price.metadata.KEY, product.metadata.KEY, "
        "price.lookup_key, price.nickname, price.id",
        example="metadata.tier,price.lookup_key",
    )
    country_from: tuple[str, ...] = setting(
        "OTEL_REVENUE_COUNTRY_FROM",
        default=(
            "session.billing",
            "session.shipping",
            "payment_intent.shipping",
            "charge.billing",
            "invoice.billing",
            "invoice.shipping",
            "bind",
            "metadata.country",
            "card_issuer",
        ),
        parse=shapes.sources(
            rf"bind|card_issuer|(?:session|invoice)\.(?:billing|shipping)|payment_intent\.shipping|charge\.billing|metadata\.{shapes.KEY}"
        ),
        meaning="Where `country` comes from; the first source that has one wins. `country_source` says of which kind it was.",
        shape="a comma-separated list of session.billing, session.shipping, payment_intent.shipping, charge.billing, invoice.billing, "
        "invoice.shipping, bind, metadata.KEY, card_issuer",
        example="session.billing,session.shipping,metadata.country",
    )
    sku_from: tuple[str, ...] = setting(
        "OTEL_REVENUE_SKU_FROM",
        default=("line.metadata.sku", "price.lookup_key", "price.metadata.sku", "product.metadata.sku", "price.id"),
        parse=shapes.sources(
            rf"line\.metadata\.{shapes.KEY}|price\.metadata\.{shapes.KEY}|product\.metadata\.{shapes.KEY}|price\.lookup_key|price\.id|product\.id"
        ),
        meaning="Where the SKU of a line comes from; the first source that has one wins, line by line.",
        shape="a comma-separated list of line.metadata.KEY, price.lookup_key, price.metadata.KEY, product.metadata.KEY, price.id, product.id",
        example="line.metadata.sku,price.lookup_key,price.id",
    )
    surface_from: tuple[str, ...] = setting(
        "OTEL_REVENUE_SURFACE_FROM",
        default=("explicit", "browser", "utm", "referrer", "route"),
        parse=shapes.sources("explicit|browser|utm|referrer|route"),
        meaning="Who may say which surface led to an order, the best source first ([funnel.md](funnel.md)): the application, the "
        "browser's first touch, the UTM parameters or the referrer's host of a mapped route, or that route itself.",
        shape="a comma-separated list of explicit, browser, utm, referrer, route",
        example="explicit,browser,utm",
    )
    stages: tuple[dict[str, Any], ...] = setting(
        "OTEL_REVENUE_STAGES",
        default=(),
        parse=shapes.records,
        meaning="Which route is which event: a list in the file, the same as JSON in the variable ([funnel.md](funnel.md)).",
        shape="a list of entries with route and event",
        example='[{"route": "GET /checkout", "event": "checkout.start"}]',
    )
    events: tuple[dict[str, Any], ...] = setting(
        "OTEL_REVENUE_EVENTS",
        default=(),
        parse=shapes.records,
        meaning="Events of your own: a list in the file, the same as JSON in the variable ([funnel.md](funnel.md)).",
        shape="a list of entries with name, meaning and attributes",
        example='[{"name": "quote.requested", "meaning": "The buyer asked for a quote."}]',
    )
    metadata_injection: bool = setting(
        "OTEL_REVENUE_METADATA_INJECTION",
        default=True,
        parse=shapes.flag,
        meaning="Whether the trace context of a checkout is left in Stripe's metadata (one key, `otel_traceparent`).",
        shape="true or false",
        example="true",
    )
    stripe_lookup: bool = setting(
        "OTEL_REVENUE_STRIPE_LOOKUP",
        default=False,
        parse=shapes.flag,
        meaning="Whether Stripe's API is asked, beside the requests, for what webhooks leave open: line items, the invoice or "
        "Session of a payment on hold, the object of a thin event. See [lookup.md](lookup.md).",
        shape="true or false",
        example="true",
    )
    stripe_lookup_rate: float = setting(
        "OTEL_REVENUE_STRIPE_LOOKUP_RATE",
        default=2.0,
        parse=shapes.seconds(0.1, 50),
        meaning="How many look-ups a second each process makes at most.",
        shape="a number from 0.1 to 50",
        example="2",
    )
    stripe_lookup_hold: float = setting(
        "OTEL_REVENUE_STRIPE_LOOKUP_HOLD",
        default=5.0,
        parse=shapes.seconds(0, 60),
        meaning="Seconds for which a payment that could be recorded waits for its line items, with the look-up on; 0: it never "
        "waits for them.",
        shape="seconds from 0 to 60",
        example="5",
    )
    event_signal: str = setting(
        "OTEL_REVENUE_EVENT_SIGNAL",
        default="logs/dup",
        parse=shapes.one_of("logs/dup", "logs", "spans"),
        meaning="How events leave: as log events (`logs`), as span events (`spans`), or both with the same `event_id` (`logs/dup`).",
        shape="logs/dup, logs or spans",
        example="logs/dup",
    )
    delivery: str = setting(
        "OTEL_REVENUE_DELIVERY",
        default="auto",
        parse=shapes.one_of("auto", "durable", "sdk"),
        meaning="`durable`: our own sender over OTLP, from disk, until acknowledged. `sdk`: through the application's own "
        "LoggerProvider. `auto`: durable where logs go out by OTLP, sdk where `OTEL_LOGS_EXPORTER` names something else.",
        shape="auto, durable or sdk",
        example="durable",
    )
    privacy: str = setting(
        "OTEL_REVENUE_PRIVACY",
        default="revenue",
        parse=shapes.one_of("revenue", "strict", "off"),
        meaning="What becomes of personal data in spans, logs and metrics of the whole application ([privacy.md](privacy.md)): `revenue` "
        "masks it, `strict` lets out what is known to be harmless and nothing else, `off` leaves all but our own events as they are.",
        shape="revenue, strict or off",
        example="strict",
    )
    privacy_keep: tuple[str, ...] = setting(
        "OTEL_REVENUE_PRIVACY_KEEP",
        default=(),
        parse=shapes.keys,
        meaning="Attributes that stay as they are: keys, or beginnings of keys that end in `*`. Stands above the profile, as do the three below.",
        shape="a comma-separated list of attribute keys, a * at the end of some",
        example="app.plan,app.flags.*",
    )
    privacy_drop: tuple[str, ...] = setting(
        "OTEL_REVENUE_PRIVACY_DROP",
        default=(),
        parse=shapes.keys,
        meaning="Attributes that are left out.",
        shape="a comma-separated list of attribute keys, a * at the end of some",
        example="url.query,app.debug.*",
    )
    privacy_mask: tuple[str, ...] = setting(
        "OTEL_REVENUE_PRIVACY_MASK",
        default=(),
        parse=shapes.keys,
        meaning="Attributes whose value is masked as a whole.",
        shape="a comma-separated list of attribute keys, a * at the end of some",
        example="app.nickname",
    )
    privacy_hash: tuple[str, ...] = setting(
        "OTEL_REVENUE_PRIVACY_HASH",
        default=(),
        parse=shapes.keys,
        meaning="Attributes in whose place a keyed hash leaves, so that equal values stay equal; masked where there is no key for it.",
        shape="a comma-separated list of attribute keys, a * at the end of some",
        example="enduser.id",
    )
    privacy_hash_keys: tuple[shapes.SigningKey, ...] = setting(
        "OTEL_REVENUE_PRIVACY_HASH_KEYS",
        default=(),
        parse=shapes.signing_keys,
        meaning="Keys of these hashes, the newest first: it signs, and its name stands in front of the hash. The older ones are for "
        "`otel-revenue privacy hash`, which finds what was hashed before. A secret: keep it as one.",
        shape="a comma-separated list of NAME:SECRET, the secret of 16 characters or more",
        example="2026a:(32 random characters)",
    )
    spool_max_bytes: int = setting(
        "OTEL_REVENUE_SPOOL_MAX_BYTES",
        default=256 * 1024**2,
        parse=shapes.size,
        meaning="Size of the spool (events that are not money) at which its oldest part goes, counted.",
        shape="a size of 1MiB or more, in bytes, KiB, MiB or GiB",
        example="256MiB",
    )
    spool_sync: bool = setting(
        "OTEL_REVENUE_SPOOL_SYNC",
        default=False,
        parse=shapes.flag,
        meaning="Whether each event that is not money is synced to the disk before the application goes on, so that it survives a "
        "power cut too, not only a crash of the process. Costs each event a sync. Payments always are, a browser's events never.",
        shape="true or false",
        example="true",
    )
    linger: float = setting(
        "OTEL_REVENUE_LINGER",
        default=0.05,
        parse=shapes.seconds(0, 60),
        meaning="Seconds for which delivery gathers events into one request; up to half a second while many come.",
        shape="seconds from 0 to 60",
        example="0.05",
    )
    flush_timeout: float = setting(
        "OTEL_REVENUE_FLUSH_TIMEOUT",
        default=5.0,
        parse=shapes.seconds(0, 60),
        meaning="Bound on the flush at shutdown, in seconds. What is not delivered by then stays on disk for the next start.",
        shape="seconds from 0 to 60",
        example="5",
    )
    browser_origins: tuple[str, ...] = setting(
        "OTEL_REVENUE_BROWSER_ORIGINS",
        default=(),
        parse=shapes.origins,
        meaning="Origins beside the application's own whose pages may post events to the browser's route ([browser.md](browser.md)). "
        "Default: none.",
        shape="a comma-separated list of origins, each with its scheme and without a path",
        example="https://www.shop.example,https://shop.example",
    )
    browser_rate: float = setting(
        "OTEL_REVENUE_BROWSER_RATE",
        default=60.0,
        parse=shapes.seconds(1, 6000),
        meaning="How many posts a minute one visitor's address may send to the browser's route, in each process; twice as many at once.",
        shape="a number from 1 to 6000",
        example="60",
    )
    browser_client_header: str = setting(
        "OTEL_REVENUE_BROWSER_CLIENT_HEADER",
        default="",
        parse=shapes.header,
        meaning="Header in which your own proxy says the visitor's address, for the limit above; its last element counts. Default: "
        "none, the address that the server itself sees.",
        shape="the name of a header",
        example="x-forwarded-for",
    )
