# SPDX-License-Identifier: Apache-2.0
"""
Thin events (API v2): they name an object and hold nothing of it. Pure.

One that speaks of money is a problem, `thin_event`, unless its object is fetched (`OTEL_REVENUE_STRIPE_LOOKUP`).

Source: Stripe API reference, "Events v2"; "Thin events" in Stripe's documentation of event destinations.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .picked import id_of, mapping, seconds_ns

if TYPE_CHECKING:
    from collections.abc import Mapping

OBJECT: Final = "v2.core.event"
PROBLEM: Final = "thin_event"
_V1: Final = "v1."
_SECOND: Final = 10**9


class Thin(NamedTuple):
    """
    What happened to which object.

    `kind` is the type of the v1 event that it stands for, `account` the connected account or "", `seen` the trace of the
    request that brought it.
    """

    kind: str
    event_id: str
    account: str
    object_id: str
    livemode: bool | None
    at_ns: int
    seen: tuple[int, int, int]

    def to_json(self) -> bytes:
        """Return it as bytes, for the disk."""
        return json.dumps(self, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, frame: bytes) -> Thin:
        """
        Read what `to_json` wrote.

        Raises:
            ValueError, TypeError: it is not of that shape.
        """
        kind, event_id, account, object_id, livemode, at_ns, seen = json.loads(frame)
        return cls(kind, event_id, account, object_id, livemode, at_ns, (seen[0], seen[1], seen[2]))

    def with_object(self, obj: object) -> dict[str, Any]:
        """Return the event as it would have been sent with its object in it."""
        return {
            "id": self.event_id,
            "type": self.kind,
            "account": self.account or None,
            "created": self.at_ns // _SECOND,
            "livemode": self.livemode,
            "data": {"object": obj},
        }


def read(
    body: Mapping[str, Any], kinds: Mapping[str, str], *, now_ns: int, seen: tuple[int, int, int]
) -> tuple[str, str, tuple[str, ...], Thin | None]:
    """
    Read a thin event.

    Args:
        body: the parsed body.
        kinds: types of v1 events that speak of money taken, and the object of each.
        now_ns: stands in for an event without a time.
        seen: trace context of the request that brought the event.

    Returns:
        its type as one of *kinds* ("other" for the rest), the problem ("" for what says nothing of money), the ids that it
        names, and what has to be fetched.
    """
    named = body.get("type")
    kind = named[len(_V1) :] if isinstance(named, str) and named.startswith(_V1) else ""
    if kind not in kinds:
        return "other", "", (), None
    related = mapping(body.get("related_object"))
    ids = tuple(i for i in (id_of(body), id_of(related)) if i)
    if not id_of(related) or related.get("type") not in (None, kinds[kind]):
        return kind, "object_missing", ids, None
    context = body.get("context")
    # A path from the owner of the key to the account; events name the connected account alone.
    account = id_of(str(context).rpartition("/")[2]) if context else ""
    if context and not account.startswith("acct_"):
        return kind, "account_malformed", ids, None
    livemode = body.get("livemode")
    thin = Thin(
        kind,
        id_of(body),
        account,
        id_of(related),
        livemode if isinstance(livemode, bool) else None,
        _moment_ns(body.get("created")) or now_ns,
        seen,
    )
    return kind, PROBLEM, ids, thin


def _moment_ns(value: object) -> int:
    """Return the time, which is text (RFC 3339) in UTC, to the second; 0 when it is none."""
    try:
        at = datetime.fromisoformat(value[:19]) if isinstance(value, str) else None
        return 0 if at is None else seconds_ns(int(at.replace(tzinfo=timezone.utc).timestamp()))
    except (ValueError, OverflowError):
        return 0
