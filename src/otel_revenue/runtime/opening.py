# SPDX-License-Identifier: Apache-2.0
"""
Opens what a process needs: far ends, the store, spools. Never raises.

What cannot be used is said loudly, once, with the remedy, and something less durable takes its place.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Any, Final

from otel_revenue._guard import logger, warn_once
from otel_revenue.delivery import destinations
from otel_revenue.delivery.sdk import Sdk
from otel_revenue.delivery.spool import Spool
from otel_revenue.errors import StoreBusy, StoreError, StoreFull
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.signals.otlp import encode_scope
from otel_revenue.version import __version__

from .kept import FOLDER
from .plan import SDK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_revenue._store_url import StoreUrl
    from otel_revenue.delivery.destination import Destination
    from otel_revenue.ledger.store import Store

    from .plan import Plan

SCOPE: Final = "otel_revenue"


def open_destinations(plan: Plan, resource: bytes) -> list[Destination]:
    """Return the far ends; *resource* is encoded."""
    if plan.delivery == SDK:
        from otel_revenue.signals import sdk

        return [Sdk(sdk.emitter(plan.logger_provider or sdk.global_provider(), __version__))]
    return [destinations.otlp(plan.otlp, resource, encode_scope(SCOPE, __version__), __version__)]


def _open_database(url: StoreUrl, names: Sequence[str], busy_s: float) -> Store:
    """
    Begin to connect, and say what is wrong where that fails.

    The store is never another one for that: once per payment would no longer hold across hosts. What it cannot take waits in
    the folder of the spool.
    """
    from otel_revenue.ledger.postgres import PostgresStore

    store = PostgresStore(url.secret, location=url.location, destinations=names, busy_s=busy_s)
    with contextlib.suppress(StoreError), store.transaction():
        pass
    return store


def open_store(plan: Plan, names: Sequence[str], busy_s: float) -> Store:
    """Open the ledger; in memory where the folder cannot be used, which is said."""
    if plan.database is not None:
        return _open_database(plan.database, names, busy_s)
    path = plan.ledger
    if path is None:
        warn_once(
            "store.memory", "otel-revenue: OTEL_REVENUE_STORE is :memory:. What waits is lost when the process ends."
        )
        return SqliteStore(None, destinations=names, busy_s=busy_s)
    store = SqliteStore(path, destinations=names, busy_s=busy_s)
    try:
        with store.transaction():
            pass
    except (StoreBusy, StoreFull):
        return store  # it can be opened; what it cannot take now is kept aside
    except StoreError as error:
        if _writable(path.parent / FOLDER):
            logger.critical(
                "otel-revenue: the ledger %s cannot be used (%s). Payments are kept aside on disk, and joined and delivered when it "
                "can be: mend it, or upgrade where it was written by a newer version.",
                path,
                error,
            )
            return store
        logger.critical(
            "otel-revenue: the folder %s cannot be used (%s). Ledger and outbox are in MEMORY: payments that wait are lost when "
            "the process ends, and each process counts for itself. Set OTEL_REVENUE_STORE to a folder that the application "
            "may write, in a container one on a volume.",
            path.parent,
            error,
        )
        return SqliteStore(None, destinations=names, busy_s=busy_s)
    return store


def _writable(folder: Path) -> bool:
    """Whether facts can be kept aside there."""
    probe = folder / f"probe-{os.getpid()}-{secrets.token_hex(4)}.new"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"?")
        probe.unlink()
    except OSError:
        return False
    return True


def open_spool(folder: Path | None, name: str, **arguments: Any) -> Spool | None:
    """Open a spool below *folder*, with the arguments of `Spool`; None where there is no folder, or it cannot be written, which is said."""
    if folder is None:
        return None
    try:
        return Spool(folder / name, **arguments)
    except OSError as error:
        logger.error(
            "otel-revenue: %s cannot be written (%s); the outbox takes its events. Mend the folder's permissions.",
            folder / name,
            error.strerror,
        )
        return None
