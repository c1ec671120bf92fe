# SPDX-License-Identifier: Apache-2.0
"""The runtime that the module-level functions of `otel_revenue` speak to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .runtime import Runtime

_active: Runtime | None = None


def get() -> Runtime | None:
    """Return the active runtime, None while the application is not instrumented."""
    return _active


def set_(runtime: Runtime) -> None:
    """Make *runtime* the active one."""
    global _active  # noqa: PLW0603 - one application, one runtime; the functions of the public door have no other way to it
    _active = runtime


def unset(runtime: Runtime | None) -> None:
    """Deactivate *runtime*, if it is the active one."""
    global _active  # noqa: PLW0603 - see above
    if _active is runtime:
        _active = None
