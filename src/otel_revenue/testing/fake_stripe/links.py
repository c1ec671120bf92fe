# SPDX-License-Identifier: Apache-2.0
"""Payment Links, and the Sessions that opening one makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import params as read
from . import sessions
from .failure import invalid
from .pricing import read_lines
from .shapes import checkout as shapes

if TYPE_CHECKING:
    from .world import Obj, Scope


def create(scope: Scope, params: Obj) -> Obj:
    """POST /v1/payment_links."""
    items = read.hashes_of(params, "line_items")
    if not items:
        raise invalid(
            "Missing required param: line_items.", code="parameter_missing", param="line_items", executed=False
        )
    lines = read_lines(scope, items)
    recurring = any(line.price and line.price["recurring"] for line in lines)
    first = lines[0].price
    assert first is not None
    obj = scope.put(
        shapes.payment_link(
            scope.new_id("payment_link"),
            f"{scope.world.url}/pay/{scope.new_id('link_path')}",
            first["currency"],
            metadata=read.metadata(params),
            payment_intent_data=params.get("payment_intent_data"),
            subscription_data=params.get("subscription_data"),
        )
    )
    scope.hidden(obj).update(
        params=params, items=sessions.shown_lines(scope, lines), mode="subscription" if recurring else "payment"
    )
    scope.emit("payment_link.created", obj)
    return obj


def opened(scope: Scope, link: Obj) -> Obj:
    """Let a buyer open a Payment Link: a Session with the link's metadata."""
    hidden = scope.hidden(link)
    after = read.hash_of(read.hash_of(hidden["params"], "after_completion"), "redirect")
    names: tuple[str, ...] = (
        "payment_intent_data",
        "subscription_data",
        "shipping_address_collection",
        "custom_fields",
    )
    names += ("shipping_options", "invoice_creation", "customer_creation", "phone_number_collection")
    params: Obj = {name: hidden["params"][name] for name in names if name in hidden["params"]}
    params["line_items"] = [{"price": i["price"]["id"], "quantity": str(i["quantity"])} for i in hidden["items"]]
    params |= {
        "mode": hidden["mode"],
        "metadata": dict(link["metadata"]),
        "success_url": after.get("url") or f"{scope.world.url}/thanks",
    }
    session = sessions.create(scope, params)
    session["payment_link"] = link["id"]
    return session
