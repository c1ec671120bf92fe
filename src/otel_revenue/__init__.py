# SPDX-License-Identifier: Apache-2.0
"""Ties revenue to traces: every Stripe payment becomes one exact, durable, PII-free OpenTelemetry event."""

from __future__ import annotations

from .version import __version__

__all__ = ["__version__"]
