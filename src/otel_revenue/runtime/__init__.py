# SPDX-License-Identifier: Apache-2.0
"""One process's running parts: store, ledger, spool, sender, thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runtime import Runtime

__all__ = ["Runtime"]


def __getattr__(name: str) -> Any:
    # `active` is asked by every application that imports us; the rest is for those that are instrumented.
    if name == "Runtime":
        from .runtime import Runtime

        return Runtime
    raise AttributeError(f"module 'otel_revenue.runtime' has no attribute {name!r}")
