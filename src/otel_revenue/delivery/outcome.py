# SPDX-License-Identifier: Apache-2.0
"""
What a far end's answer means, and what to do next. Pure.

Whether to try again is the type of the outcome: the worker knows no status codes. Reasons are short, name status and kind,
and never hold bodies, values or URLs.
"""

from __future__ import annotations

import contextlib
import email.utils
import math
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
    """
    Try again; not before `retry_after_s` seconds where the far end says so.

    `suspect`: the content may be the cause (a 500, a hang, a message above the far end's limit), so that the event must
    not stand in the way of others: fewer are sent at a time, and the one that fails alone waits by itself.
    """

    reason: str
    retry_after_s: float | None = None
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """This content is refused for good: alone it is set aside, in a batch the bad one is looked for. `each`: all of them are bad."""

    reason: str
    each: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """The far end refuses us, not the content: wrong key or URL. Nothing is set aside; a probe now and then."""

    reason: str


Outcome = Delivered | Later | Refused | Held

_HELD_STATUS: Final = frozenset({401, 402, 403, 404, 405, 407, 410})
_LATER_STATUS: Final = frozenset({408, 421, 425, 429})
_BUSY_STATUS: Final = frozenset({502, 503, 504})


def from_http(status: int, retry_after: str | None, now_s: float) -> Outcome:
    """
    Classify an HTTP status. *retry_after* is the header's text; *now_s* seconds since the epoch.

    Every 2xx is an acknowledgement: Loki answers 204, others 202.
    """
    if 200 <= status < 300:
        return Delivered()
    reason = f"http {status}"
    if status in _HELD_STATUS or 300 <= status < 400:
        return Held(reason)
    if status in _LATER_STATUS or status >= 500 or status < 200:
        suspect = status >= 500 and status not in _BUSY_STATUS
        return Later(reason, parse_retry_after(retry_after, now_s), suspect)
    return Refused(reason)


_GRPC_HELD: Final = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"})
_GRPC_REFUSED: Final = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION", "ALREADY_EXISTS"})
_GRPC_BUSY: Final = frozenset({"UNAVAILABLE", "CANCELLED", "ABORTED"})


def from_grpc(code: str, retry_after_s: float | None = None) -> Outcome:
    """
    Classify a gRPC status by its name; *retry_after_s* from the answer's `RetryInfo`.

    UNKNOWN and INTERNAL are a Collector's words for a 500 or 413 behind it, and RESOURCE_EXHAUSTED without a `RetryInfo` is also
    said of a message above a size limit: later, and under suspicion, so that one event of that kind holds up no other.
    """
    reason = f"grpc {code}"
    if code == "OK":
        return Delivered()
    if code in _GRPC_HELD:
        return Held(reason)
    if code in _GRPC_REFUSED:
        return Refused(reason)
    wait = None if retry_after_s is None else min(max(0.0, retry_after_s), MAX_RETRY_AFTER_S)
    return Later(reason, wait, suspect=wait is None and code not in _GRPC_BUSY)


def from_partial_success(rejected: int, sent: int) -> Outcome:
    """
    Classify an acknowledgement in which *rejected* of *sent* records are refused.

    The far end has taken the others, and does not say which; the specification forbids to send the same request again. So the
    bad ones are looked for like after a 400, in smaller and smaller requests: some that were taken go twice, which
    the `event_id` makes harmless, and each rejected one ends alone, set aside. Never lost, and it always ends.
    """
    if rejected <= 0:
        return Delivered()
    if rejected >= sent:
        return Refused("partial success: rejected", each=True)
    return Refused(f"partial success: {rejected} of {sent} rejected")


def parse_retry_after(text: str | None, now_s: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date), capped; None when there is none."""
    if not text:
        return None
    with contextlib.suppress(ValueError):
        seconds = float(text)
        return min(max(0.0, seconds), MAX_RETRY_AFTER_S) if math.isfinite(seconds) else None
    try:
        moment = email.utils.parsedate_to_datetime(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return min(max(0.0, moment.timestamp() - now_s), MAX_RETRY_AFTER_S)
    except (TypeError, ValueError, OverflowError):
        return None


def backoff_s(attempt: int, jitter: float, retry_after_s: float | None = None) -> float:
    """
    Return how long to wait after the *attempt*-th failure in a row (from 1).

    Doubles from 1 s to 300 s, for ever; *jitter* (0 to 1) takes up to a quarter away, so that processes do not knock together.
    """
    wait = min(MAX_BACKOFF_S, 2.0 ** min(attempt - 1, 10)) * (1 - 0.25 * jitter)
    return max(wait, retry_after_s or 0.0)
