# SPDX-License-Identifier: Apache-2.0
"""
What a far end's answer means, and what to do next. Pure.

Whether to try again is the type of the outcome: the worker knows no status codes. Reasons are short, name status and kind,
and never hold bodies, values or URLs.
"""

from __future__ import annotations

import email.utils
from dataclasses import dataclass
from datetime import timezone
from typing import Final

MAX_BACKOFF_S: Final = 300.0
MAX_RETRY_AFTER_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """Acknowledged."""


@dataclass(frozen=True, slots=True)
class Later:
    """Try again; not before `retry_after_s` seconds where the far end says so."""

    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """This content is refused for good: alone it is set aside, in a batch the batch is halved."""

    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """The far end refuses us, not the content: wrong key or URL. Nothing is set aside; a probe now and then."""

    reason: str


Outcome = Delivered | Later | Refused | Held

_HELD_STATUS: Final = frozenset({401, 402, 403, 404, 405, 407, 410})
_LATER_STATUS: Final = frozenset({408, 421, 425, 429})


def from_http(status: int, retry_after: str | None, now_s: float) -> Outcome:
    """Classify an HTTP status. *retry_after* is the header's text; *now_s* seconds since the epoch."""
    if status in (200, 202):
        return Delivered()
    reason = f"http {status}"
    if status in _HELD_STATUS or 300 <= status < 400:
        return Held(reason)
    if status in _LATER_STATUS or status >= 500 or status < 400:
        return Later(reason, parse_retry_after(retry_after, now_s))
    return Refused(reason)


_GRPC_HELD: Final = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"})
_GRPC_REFUSED: Final = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION", "ALREADY_EXISTS"})


def from_grpc(code: str, retry_after_s: float | None = None) -> Outcome:
    """Classify a gRPC status by its name. UNKNOWN and INTERNAL are a Collector's words for a 500 behind it: later."""
    reason = f"grpc {code}"
    if code == "OK":
        return Delivered()
    if code in _GRPC_HELD:
        return Held(reason)
    return Refused(reason) if code in _GRPC_REFUSED else Later(reason, retry_after_s)


def parse_retry_after(text: str | None, now_s: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date), capped; None when there is none."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return min(max(0.0, moment.timestamp() - now_s), MAX_RETRY_AFTER_S)


def backoff_s(attempt: int, jitter: float, retry_after_s: float | None = None) -> float:
    """
    Return how long to wait after the *attempt*-th failure in a row (from 1).

    Doubles from 1 s to 300 s, for ever; *jitter* (0 to 1) takes up to a quarter away, so that processes do not knock together.
    """
    wait = min(MAX_BACKOFF_S, 2.0 ** min(attempt - 1, 10)) * (1 - 0.25 * jitter)
    return max(wait, retry_after_s or 0.0)
