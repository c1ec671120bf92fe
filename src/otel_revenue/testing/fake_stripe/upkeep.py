# SPDX-License-Identifier: Apache-2.0
"""Changing and deleting what a shop set up: products, prices, coupons, customers, drafts and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import params as read
from .billing_api import finalize_invoice
from .failure import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from .world import Obj, Scope


def updating(kind: str, *texts: str) -> Callable[[Scope, Obj, str], Obj]:
    """Return what answers `POST /v1/…/{id}`: metadata, `active` and the fields *texts* of an object of *kind*."""

    def handler(scope: Scope, params: Obj, object_id: str) -> Obj:
        obj = scope.get(kind, object_id)
        changed: Obj = {name: read.text(params, name) for name in texts if name in params}
        changed["metadata"] = read.metadata(params, obj["metadata"])
        if "active" in params:
            changed["active"] = read.boolean(params, "active")
        before = {name: obj[name] for name, value in changed.items() if obj[name] != value}
        obj.update(changed)
        scope.emit(f"{kind}.updated", obj, before)
        return obj

    return handler


def deleting(kind: str) -> Callable[[Scope, Obj, str], Obj]:
    """Return what answers `DELETE /v1/…/{id}` for an object of *kind*."""

    def handler(scope: Scope, _params: Obj, object_id: str) -> Obj:
        obj = scope.get(kind, object_id)
        if kind == "invoice" and obj["status"] != "draft":
            raise invalid("You can only delete draft invoices.")
        if kind == "invoiceitem" and (scope.find(obj["invoice"]) or {"status": "draft"})["status"] != "draft":
            raise invalid("You cannot delete an item of an invoice that was finalized.")
        scope.remove(obj)
        scope.emit(f"{kind}.deleted", obj)
        return {"id": object_id, "object": kind, "deleted": True}

    return handler


def detach(scope: Scope, _params: Obj, object_id: str) -> Obj:
    """POST /v1/payment_methods/{id}/detach."""
    method = scope.get("payment_method", object_id)
    if method["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
    before = {"customer": method["customer"]}
    customer = scope.find(method["customer"], "customer")
    if customer is not None and customer["invoice_settings"]["default_payment_method"] == object_id:
        customer["invoice_settings"]["default_payment_method"] = None
    method["customer"] = None
    scope.emit("payment_method.detached", method, before)
    return method


def send_invoice(scope: Scope, params: Obj, object_id: str) -> Obj:
    """POST /v1/invoices/{id}/send; a draft is finalised first."""
    invoice = scope.get("invoice", object_id)
    if invoice["status"] == "draft":
        finalize_invoice(scope, params, object_id)
    scope.emit("invoice.sent", invoice)
    return invoice


def mark_uncollectible(scope: Scope, _params: Obj, object_id: str) -> Obj:
    """POST /v1/invoices/{id}/mark_uncollectible."""
    invoice = scope.get("invoice", object_id)
    if invoice["status"] != "open":
        raise invalid("You can only mark open invoices as uncollectible.")
    invoice["status"] = "uncollectible"
    invoice["status_transitions"]["marked_uncollectible_at"] = scope.now
    scope.emit("invoice.marked_uncollectible", invoice)
    return invoice
