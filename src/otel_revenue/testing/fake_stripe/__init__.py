# SPDX-License-Identifier: Apache-2.0
"""A small stateful Stripe on loopback; see `FakeStripe`."""

from __future__ import annotations

from .api import Received
from .books import Booked
from .buyer import Buyer
from .deliveries import Behaviour, Delivery, Endpoint
from .fake import API_KEY, WEBHOOK_SECRET, FakeStripe
from .summary import Sum, Traffic

__all__ = [
    "API_KEY",
    "WEBHOOK_SECRET",
    "Behaviour",
    "Booked",
    "Buyer",
    "Delivery",
    "Endpoint",
    "FakeStripe",
    "Received",
    "Sum",
    "Traffic",
]
