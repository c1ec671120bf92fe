# SPDX-License-Identifier: Apache-2.0
"""What the ledger has to know about Stripe's objects to join them."""

from __future__ import annotations

from typing import Final

from otel_revenue.ledger.join import Rules
from otel_revenue.ledger.keys import BROWSER
from otel_revenue.runtime.orders import BIND, SAID

_SECOND: Final = 10**9


LOOKED_UP: Final = "looked_up"
"""Label that says: the line items were asked for, and there will be none."""


def rules(
    hold_s: float, enrich_hold_s: float, lookup_hold_s: float = 0.0, order_id_from: tuple[str, ...] = ("bind",)
) -> Rules:
    """
    Return the rules for Stripe's objects: `cs` Checkout Sessions, `pi` PaymentIntents, `ch` charges, `in` invoices.

    An invoice names a payment before its PaymentIntent does, and is an order of its own. A payment that is certain but poor
    waits for the country even where its creation went through us: no create parameter has it, the Session's event does.

    Args:
        hold_s: how long an uncertain payment waits, in seconds.
        enrich_hold_s: how long a certain but poor one waits, in seconds.
        lookup_hold_s: how long one that could be recorded waits for its line items, in seconds; 0 where nobody asks for them.
        order_id_from: where the order's id comes from; the first source that has one wins.
    """
    return Rules(
        canonical=("in", "pi", "ch", "cs"),
        exclusive=("in", "pi", "cs"),
        own="in",
        hold_ns=int(hold_s * _SECOND),
        enrich_ns=int(enrich_hold_s * _SECOND),
        awaited=("country",),
        wanted=("item_count", LOOKED_UP),
        wanted_of="cs",
        wanted_ns=int(lookup_hold_s * _SECOND),
        known_by=(("order_id", order_id_from), ("journey_id", (BIND, SAID, BROWSER))),
    )
