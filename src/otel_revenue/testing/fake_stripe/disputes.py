# SPDX-License-Identifier: Apache-2.0
"""
Disputes: a buyer's bank takes money back, and perhaps gives it back again.

Source: Stripe documentation, "How disputes work", and "Testing: disputes" (the evidence that wins or loses).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import params as read
from .failure import invalid
from .shapes import payment as shapes

if TYPE_CHECKING:
    from .world import Obj, Scope

_OVER = ("won", "lost", "warning_closed")
_REASONS = (
    "credit_not_processed duplicate fraudulent general product_not_received product_unacceptable subscription_canceled "
    "unrecognized"
).split()


def open_(
    scope: Scope, charge: Obj, amount: int | None = None, reason: str = "fraudulent", *, inquiry: bool = False
) -> Obj:
    """
    Let the bank of *charge* withdraw *amount* (minor units; None for all that was taken); an *inquiry* only asks.

    Raises:
        ValueError: nothing was taken, it is disputed already, or amount or reason is none.
    """
    if reason not in _REASONS:
        raise ValueError(f"no such reason: {reason!r}; known: {', '.join(_REASONS)}")
    taken = charge["amount_captured"]
    part = taken if amount is None else amount
    if charge["disputed"] or not 0 < part <= taken:
        raise ValueError(f"{charge['id']}: {part} of {taken} cannot be disputed")
    charge["disputed"] = True
    dispute = scope.put(shapes.dispute(scope.new_id("dispute"), scope.now, part, charge, reason))
    if inquiry:
        dispute |= {"status": "warning_needs_response", "is_charge_refundable": True}
    scope.emit("charge.dispute.created", dispute)
    if not inquiry:
        scope.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close(scope: Scope, dispute: Obj, *, won: bool) -> None:
    """
    Let the bank decide; who wins gets the money back. An inquiry is closed, and no money moves.

    Raises:
        ValueError: it has decided.
    """
    if dispute["status"] in _OVER:
        raise ValueError(f"{dispute['id']} is {dispute['status']}")
    if dispute["status"].startswith("warning"):
        dispute["status"] = "warning_closed"
        scope.emit("charge.dispute.closed", dispute)
        return
    dispute["status"] = "won" if won else "lost"
    scope.emit("charge.dispute.closed", dispute)
    if won:
        scope.emit("charge.dispute.funds_reinstated", dispute)


def update(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/disputes/{id}: metadata and evidence; `winning_evidence` and `losing_evidence` decide, as in test mode."""
    dispute = scope.get("dispute", object_id)
    if dispute["status"] in _OVER:
        raise invalid("This dispute is already closed.")
    before = {"metadata": dispute["metadata"], "evidence": dict(dispute["evidence"])}
    dispute["metadata"] = read.metadata(params, dispute["metadata"])
    evidence = read.hash_of(params, "evidence")
    if evidence:
        dispute["evidence"].update(evidence)
        dispute["evidence_details"]["has_evidence"] = True
        if read.boolean(params, "submit", default=True):
            dispute["evidence_details"]["submission_count"] += 1
            dispute["status"] = "warning_under_review" if dispute["status"].startswith("warning") else "under_review"
    scope.emit("charge.dispute.updated", dispute, before)
    word = evidence.get("uncategorized_text")
    if dispute["status"] == "under_review" and word in ("winning_evidence", "losing_evidence"):
        close(scope, dispute, won=word == "winning_evidence")
    return dispute


def accept(scope: Scope, _params: Obj, object_id: str) -> Obj:
    """POST /v1/disputes/{id}/close: the shop accepts that it lost."""
    dispute = scope.get("dispute", object_id)
    try:
        close(scope, dispute, won=False)
    except ValueError:
        raise invalid("This dispute is already closed.") from None
    return dispute
