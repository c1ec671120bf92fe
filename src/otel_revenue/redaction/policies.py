# SPDX-License-Identifier: Apache-2.0
"""From the settings to a redactor, and the count of what it masked."""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

from otel_revenue import config
from otel_revenue.privacy.policy import Policy
from otel_revenue.privacy.redactor import Redactor
from otel_revenue.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider

_masked: Counter[str] = Counter()
_lock = threading.Lock()


def policy(settings: config.Settings) -> Policy:
    """Return what the settings say."""
    return Policy(
        profile=settings.privacy,
        keep=settings.privacy_keep,
        drop=settings.privacy_drop,
        mask=settings.privacy_mask,
        hashed=settings.privacy_hash,
        hash_keys=settings.privacy_hash_keys,
    )


def redactor(settings: config.Settings | None = None) -> Redactor:
    """Return a redactor by *settings*; by the environment and `otel-revenue.yaml` where none are given."""
    if settings is None:
        settings = config.load(os.environ)[0]
    return Redactor(policy(settings), _count)


def _count(kind: str) -> None:
    with _lock:
        _masked[kind] += 1


def masked() -> dict[str, int]:
    """Return how many values were masked since the process started, by kind."""
    with _lock:
        return dict(_masked)


def _observe(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(count, {"kind": kind}) for kind, count in masked().items()]


_meters: weakref.WeakSet[Meter] = weakref.WeakSet()


def observe(provider: MeterProvider) -> None:
    """Show the count as a metric; once per meter, however often the application is instrumented."""
    meter = provider.get_meter("otel_revenue", __version__)
    if meter in _meters:
        return
    _meters.add(meter)
    meter.create_observable_counter(
        "otel_revenue.privacy.masked",
        [_observe],
        unit="{value}",
        description="Values of spans, logs and metrics that were masked or left out before export, by kind.",
    )


def _forget_lock() -> None:
    global _lock  # noqa: PLW0603 - of the parent's threads none is here to release it
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)
