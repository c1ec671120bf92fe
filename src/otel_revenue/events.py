# SPDX-License-Identifier: Apache-2.0
"""
Events as types: those that an application records itself, and what it declares its own with.

    class QuoteRequested(CommonEvent):
        event_name = "quote.requested"

        quote_id: str | None = attribute("The shop's id of the quote.", Sensitivity.BUSINESS, Kind.ID, example="q-7")

    otel_revenue.track(QuoteRequested(order_id="o-1", quote_id="q-8"))
"""

from __future__ import annotations

from .schema.events import CheckoutStart, CommonEvent, DesignApproved, DesignStarted
from .schema.fields import Kind, Sensitivity, attribute

__all__ = ["CheckoutStart", "CommonEvent", "DesignApproved", "DesignStarted", "Kind", "Sensitivity", "attribute"]
