# SPDX-License-Identifier: Apache-2.0
"""How objects are read under the settings: which metadata keys, which sources of SKU and tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .picked import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_revenue.config import Settings


def reader_factory(settings: Settings, clean: Callable[[str], str | None]) -> Callable[..., Reader]:
    """
    Return what makes a `Reader` for account, time and mode.

    Args:
        settings: the checked settings.
        clean: returns text as it may be stored, None where it must not be.
    """
    keys = {
        name: tuple(source[len("metadata.") :] for source in sources if source.startswith("metadata."))
        for name, sources in (
            ("order_id", settings.order_id_from),
            ("tier", settings.tier_from),
            ("country", settings.country_from),
        )
    }

    def make(*, account: str, at_ns: int, livemode: bool | None) -> Reader:
        return Reader(account, at_ns, livemode, settings.emit_zero, keys, settings.sku_from, settings.tier_from, clean)

    return make
