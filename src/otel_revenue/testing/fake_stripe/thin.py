# SPDX-License-Identifier: Apache-2.0
"""
Thin events (API v2): what happened to which object, without the object.

Since 2026-09-30.endive every event of a v1 object has a thin twin, `v1.<type>`. Source: Stripe API reference, "Events v2".
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from .failure import invalid

if TYPE_CHECKING:
    from .world import Obj, Scope

_MARK: Final = "evt_thin"
_PATHS: Final = {
    "checkout.session": "checkout/sessions",
    "balance_transaction": "balance_transactions",
    "payment_method": "payment_methods",
}


def event(snapshot: Obj) -> Obj:
    """Return the thin twin of a v1 event, as an endpoint gets it."""
    about = snapshot["data"]["object"]
    kind, object_id = str(about.get("object", "")), str(about.get("id", ""))
    moment = datetime.fromtimestamp(snapshot["created"], tz=timezone.utc)
    return {
        "id": _MARK + snapshot["id"].removeprefix("evt"),
        "object": "v2.core.event",
        "context": snapshot.get("account"),
        "created": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "livemode": snapshot["livemode"],
        "reason": None,
        "related_object": {"id": object_id, "type": kind, "url": f"/v1/{_PATHS.get(kind, kind + 's')}/{object_id}"},
        "type": f"v1.{snapshot['type']}",
    }


def retrieve(scope: Scope, _params: Obj, object_id: str) -> Obj:
    """GET /v2/core/events/{id}: the thin event, with the id of its twin."""
    wanted = "evt" + object_id.removeprefix(_MARK)
    for snapshot in scope.world.events:
        if object_id.startswith(_MARK) and snapshot["id"] == wanted and snapshot.get("account", "") == scope.account:
            found: dict[str, Any] = {**event(snapshot), "snapshot_event": snapshot["id"]}
            return found
    raise invalid(f"No such event: '{object_id}'", code="not_found", status=404)
