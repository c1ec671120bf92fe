# SPDX-License-Identifier: Apache-2.0
"""What the rooms above must know of the ledger before a process opens it: apart from the rest, since that is large to load."""

from __future__ import annotations

from typing import Final

ORDER_KEYS: Final = ("order_id", "journey_id")
"""By what an order is known from one request to the next."""

BROWSER: Final = "browser"
TOUCH: Final = "touch"
"""Sources of what was said of an order: a visitor's browser, and whoever named the surface that was touched last."""
