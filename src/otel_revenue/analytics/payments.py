# SPDX-License-Identifier: Apache-2.0
"""Payments over all time, per currency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .figures import Revenue
from .statements import load

if TYPE_CHECKING:
    from .store import Store

_SQL: Final = load("payments.sql")


def totals(store: Store, *, live: bool) -> tuple[Revenue, ...]:
    """
    Return count and sum of all payments that are known, live or test, by currency.

    Raises:
        StoreError: the database failed.
    """
    with store.reading() as db:
        rows = db.execute(_SQL["totals"], {"live": live}).fetchall()
    return tuple(Revenue("", *row) for row in rows)
