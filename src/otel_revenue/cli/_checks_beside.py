# SPDX-License-Identifier: Apache-2.0
"""What waits in the folders beside the ledger. Nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_revenue.instrumentation.stripe.lookup import waiting as thin_events
from otel_revenue.runtime import kept as kept_facts

from ._findings import OLD_NS, ok, skip, warn
from ._outbox_show import beside
from ._words import age, count, size

if TYPE_CHECKING:
    from otel_revenue.delivery.survey import Waiting

    from ._findings import Around, Check, Finding


def folders(around: Around) -> list[Finding]:
    """What waits beside the ledger: events without money, facts that were kept aside, thin events."""
    if around.place.folder is None:
        return []
    spool = beside(around.place, "spool", "sdk" if not around.own_sender else "otlp")
    kept = beside(around.place, kept_facts.FOLDER, kept_facts.READER)
    thin = beside(around.place, thin_events.FOLDER, thin_events.READER)
    if spool is None or kept is None or thin is None:
        return [skip("what waits beside the ledger may not be read by this user", "run this as the application's user")]
    return [*_spooled(spool, around), *_kept(kept, around), *_thin(thin, around), *_torn(spool, kept, thin)]


def _spooled(spool: Waiting, around: Around) -> list[Finding]:
    text = f"{count(spool.frames, 'event')} of the spool wait, {size(spool.bytes)} in {count(spool.segments, 'file')}"
    if spool.frames and around.now_ns - spool.oldest_ns > OLD_NS:
        dead = f", {spool.orphans} of them of dead processes" if spool.orphans else ""
        return [
            warn(
                f"{text}{dead}, untouched since {age(around.now_ns - spool.oldest_ns)}",
                "see the endpoint below; is the application running?",
            )
        ]
    return [ok(text if spool.frames else "no event of the spool waits")]


def _kept(kept: Waiting, around: Around) -> list[Finding]:
    if not kept.frames:
        return []
    return [
        warn(
            f"{count(kept.frames, 'fact')} kept aside, since the store was busy or broken, untouched since "
            f"{age(around.now_ns - kept.oldest_ns)}; they are joined when the application's worker reaches it",
            "is the application running? Is the disk full? Does something hold the ledger (a backup, a shell of sqlite3)?",
        )
    ]


def _thin(thin: Waiting, around: Around) -> list[Finding]:
    if not thin.frames:
        return []
    waited = around.now_ns - thin.oldest_ns
    text = f"the objects of {count(thin.frames, 'thin event')} are to be fetched from Stripe, untouched since {age(waited)}"
    if not around.settings.stripe_lookup:
        return [warn(text, "nobody fetches them: set OTEL_REVENUE_STRIPE_LOOKUP=true, see docs/lookup.md")]
    if waited <= OLD_NS:
        return [ok(text)]
    return [warn(text, "is the application running? Does Stripe take its key? See docs/lookup.md")]


def _torn(*folders: Waiting) -> list[Finding]:
    torn = sum(folder.torn for folder in folders)
    if not torn:
        return []
    return [
        warn(
            f"{size(torn)} beside the ledger cannot be read: a process died while it wrote",
            "nothing to do: what is whole is delivered, the rest counted in otel_revenue.spool.dropped",
        )
    ]


CHECKS: Final[tuple[Check, ...]] = (folders,)
