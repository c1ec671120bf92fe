# SPDX-License-Identifier: Apache-2.0
"""Every exception of ours. None of them ever reaches the application's own code paths: see `_guard`."""

from __future__ import annotations


class RevenueError(Exception):
    """Base of every error that otel-revenue raises."""


class ConfigError(RevenueError, ValueError):
    """A setting is wrong. The text names the key, the shape it must have and the remedy; a secret's value is never in it."""


class MissingExtra(RevenueError, ImportError):
    """An optional part is used without its extra. The text holds the `pip install` line that mends it."""


class SchemaError(RevenueError, ValueError):
    """An event or attribute is not declared, or a value is not of the declared type."""


class UnknownCurrency(RevenueError, LookupError):
    """A well-formed currency code for which Stripe's table gives no exponent. Never guessed: the caller marks the event."""


class BadMoney(RevenueError, ValueError):
    """An amount or a currency is missing or malformed. `reason` is a constant of the code, never data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreError(RevenueError):
    """The ledger's store failed. Driver errors are translated into this class or one below it, at the store."""


class StoreBusy(StoreError):
    """The store stayed locked beyond its bound."""


class StoreFull(StoreError):
    """The disk or the configured size limit is full."""


class StoreTooNew(StoreError):
    """The store was written by a newer version whose layout this one does not know."""
