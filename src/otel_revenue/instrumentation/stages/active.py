# SPDX-License-Identifier: Apache-2.0
"""What is mapped, for middleware that an application makes before it is instrumented."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .stages import Stages

_stages: Stages | None = None


def get() -> Stages | None:
    """Return what is mapped, None while the application is not instrumented."""
    return _stages


def set_(stages: Stages | None) -> None:
    """Make *stages* what is mapped."""
    global _stages  # noqa: PLW0603 - one application, one mapping; a middleware has no other way to it
    _stages = stages
