# SPDX-License-Identifier: Apache-2.0
"""The endpoints: a table of method, path, parameters and what answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from . import answers, billing_api, catalogue, checkout, disputes, links, payments, sessions, setups, thin, upkeep
from . import params as read
from .allowed import ROUTES
from .failure import invalid
from .legacy import knows
from .world import Obj, Scope

Handler = Callable[..., Obj]
_PAGE: Final = frozenset({"created", "ending_before", "expand", "limit", "starting_after"})


@dataclass(frozen=True)
class Route:
    """One endpoint; `allowed` None takes any parameter."""

    method: str
    template: str
    handler: Handler
    allowed: frozenset[str] | None

    def match(self, method: str, path: str) -> tuple[str, ...] | None:
        """Return the ids in *path* when it is this endpoint's, else None."""
        if method != self.method:
            return None
        pattern = re.escape(self.template).replace(r"\{\}", "([^/]+)")
        found = re.fullmatch(pattern, path)
        return found.groups() if found else None


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """
    Return the endpoint and the ids in its path.

    Raises:
        StripeFailure: there is none; the text says that it may be this fake that lacks it.
    """
    for route in _ROUTES:
        ids = route.match(method, path)
        if ids is not None:
            return route, ids
    raise invalid(
        f"Unrecognized request URL ({method}: {path}). FakeStripe has no such endpoint.", status=404, executed=False
    )


def _retrieve(kind: str) -> Handler:
    return lambda scope, _params, object_id: scope.get(kind, object_id)


def _listing(kind: str, url: str, *names: str) -> Handler:
    """A list that can be asked for by the fields *names*."""

    def handler(scope: Scope, params: Obj) -> Obj:
        wanted = answers.matches(**{name: read.text(params, name) for name in names})
        return answers.listing(scope, kind, url, params, wanted)

    return handler


def _sessions(scope: Scope, params: Obj) -> Obj:
    wanted = answers.matches(
        **{name: read.text(params, name) for name in ("customer", "payment_link", "status", "subscription")}
    )
    asked = read.text(params, "payment_intent")

    def fits(session: Obj) -> bool:
        return wanted(session) and asked in (None, session["payment_intent"], scope.hidden(session).get("intent"))

    return answers.listing(scope, "checkout.session", "/v1/checkout/sessions", params, fits)


def _session_items(scope: Scope, params: Obj, object_id: str) -> Obj:
    return answers.line_items(scope, scope.get("checkout.session", object_id), params)


def _link_items(scope: Scope, params: Obj, object_id: str) -> Obj:
    return answers.line_items(scope, scope.get("payment_link", object_id), params)


def _expire(scope: Scope, _params: Obj, object_id: str) -> Obj:
    return sessions.expire(scope, scope.get("checkout.session", object_id))


def _prices(scope: Scope, params: Obj) -> Obj:
    wanted = answers.matches(product=read.text(params, "product"), currency=read.text(params, "currency"))
    keys = read.list_of(params, "lookup_keys")

    def fits(price: Obj) -> bool:
        return wanted(price) and (not keys or price["lookup_key"] in keys)

    return answers.listing(scope, "price", "/v1/prices", params, fits)


def _invoice_payments(scope: Scope, params: Obj) -> Obj:
    payment = read.hash_of(params, "payment")
    wanted = answers.matches(invoice=read.text(params, "invoice"), status=read.text(params, "status"))

    def fits(obj: Obj) -> bool:
        asked = {name: read.text(payment, name) for name in ("type", "payment_intent", "payment_record")}
        return wanted(obj) and answers.matches(**asked)(obj["payment"])

    return answers.listing(scope, "invoice_payment", "/v1/invoice_payments", params, fits)


def _events(scope: Scope, params: Obj) -> Obj:
    types = read.list_of(params, "types") or ([params["type"]] if params.get("type") else [])
    mine = [e for e in scope.world.events if e.get("account", "") == scope.account]
    fitting = [e for e in reversed(mine) if not types or e["type"] in types]
    return answers.page([e for e in fitting if knows(scope.world.api_version, e["type"])], params, "/v1/events")


def _event(scope: Scope, _params: Obj, object_id: str) -> Obj:
    for event in scope.world.events:
        if event["id"] == object_id and event.get("account", "") == scope.account:
            return event
    raise invalid(f"No such event: '{object_id}'", code="resource_missing", param="id", status=404)


def _payment_page(scope: Scope, _params: Obj, object_id: str) -> Obj:
    session = scope.get("checkout.session", object_id)
    return {"id": session["id"], "object": "checkout.session", "session_id": session["id"]}


def _invoice_lines(scope: Scope, params: Obj, object_id: str) -> Obj:
    invoice = scope.get("invoice", object_id)
    return answers.page(invoice["lines"]["data"], params, f"/v1/invoices/{object_id}/lines")


_HANDLERS: Final[dict[str, Handler]] = {
    "POST /v1/products": catalogue.create_product,
    "GET /v1/products": _listing("product", "/v1/products"),
    "GET /v1/products/{}": _retrieve("product"),
    "POST /v1/products/{}": upkeep.updating(
        "product", "name", "description", "statement_descriptor", "unit_label", "url"
    ),
    "DELETE /v1/products/{}": upkeep.deleting("product"),
    "POST /v1/prices": catalogue.create_price,
    "GET /v1/prices": _prices,
    "GET /v1/prices/{}": _retrieve("price"),
    "POST /v1/prices/{}": upkeep.updating("price", "lookup_key", "nickname", "tax_behavior"),
    "POST /v1/customers": catalogue.create_customer,
    "GET /v1/customers": _listing("customer", "/v1/customers", "email"),
    "GET /v1/customers/{}": _retrieve("customer"),
    "POST /v1/customers/{}": catalogue.update_customer,
    "DELETE /v1/customers/{}": upkeep.deleting("customer"),
    "POST /v1/coupons": catalogue.create_coupon,
    "GET /v1/coupons/{}": _retrieve("coupon"),
    "POST /v1/coupons/{}": upkeep.updating("coupon", "name"),
    "DELETE /v1/coupons/{}": upkeep.deleting("coupon"),
    "POST /v1/promotion_codes": catalogue.create_promotion_code,
    "GET /v1/promotion_codes/{}": _retrieve("promotion_code"),
    "POST /v1/promotion_codes/{}": upkeep.updating("promotion_code"),
    "POST /v1/tax_rates": catalogue.create_tax_rate,
    "GET /v1/tax_rates/{}": _retrieve("tax_rate"),
    "POST /v1/tax_rates/{}": upkeep.updating("tax_rate", "display_name", "description"),
    "POST /v1/payment_methods": catalogue.create_payment_method,
    "GET /v1/payment_methods/{}": _retrieve("payment_method"),
    "POST /v1/payment_methods/{}/attach": catalogue.attach,
    "POST /v1/payment_methods/{}/detach": upkeep.detach,
    "POST /v1/setup_intents": setups.create,
    "POST /v1/setup_intents/{}/confirm": setups.confirm,
    "POST /v1/setup_intents/{}/cancel": setups.cancel,
    "POST /v1/checkout/sessions": sessions.create,
    "GET /v1/checkout/sessions": _sessions,
    "GET /v1/checkout/sessions/{}": _retrieve("checkout.session"),
    "POST /v1/checkout/sessions/{}": sessions.update,
    "POST /v1/checkout/sessions/{}/expire": _expire,
    "GET /v1/checkout/sessions/{}/line_items": _session_items,
    "GET /v1/payment_pages/{}": _payment_page,
    "POST /v1/payment_pages/{}/confirm": checkout.confirm_page,
    "POST /v1/payment_links": links.create,
    "GET /v1/payment_links": _listing("payment_link", "/v1/payment_links"),
    "GET /v1/payment_links/{}": _retrieve("payment_link"),
    "POST /v1/payment_links/{}": upkeep.updating("payment_link"),
    "GET /v1/payment_links/{}/line_items": _link_items,
    "POST /v1/payment_intents": payments.create,
    "GET /v1/payment_intents": _listing("payment_intent", "/v1/payment_intents", "customer"),
    "GET /v1/payment_intents/{}": _retrieve("payment_intent"),
    "POST /v1/payment_intents/{}": payments.update,
    "POST /v1/payment_intents/{}/confirm": payments.confirm,
    "POST /v1/payment_intents/{}/capture": payments.capture,
    "POST /v1/payment_intents/{}/cancel": payments.cancel,
    "POST /v1/charges": payments.create_charge,
    "GET /v1/charges": _listing("charge", "/v1/charges", "customer", "payment_intent"),
    "GET /v1/charges/{}": _retrieve("charge"),
    "POST /v1/refunds": payments.create_refund,
    "GET /v1/refunds": _listing("refund", "/v1/refunds", "charge", "payment_intent"),
    "GET /v1/refunds/{}": _retrieve("refund"),
    "POST /v1/refunds/{}": payments.update_refund,
    "GET /v1/disputes": _listing("dispute", "/v1/disputes", "charge", "payment_intent"),
    "GET /v1/disputes/{}": _retrieve("dispute"),
    "POST /v1/disputes/{}": disputes.update,
    "POST /v1/disputes/{}/close": disputes.accept,
    "GET /v1/balance_transactions/{}": _retrieve("balance_transaction"),
    "GET /v1/setup_intents/{}": _retrieve("setup_intent"),
    "POST /v1/subscriptions": billing_api.create_subscription,
    "GET /v1/subscriptions": _listing("subscription", "/v1/subscriptions", "customer", "status"),
    "GET /v1/subscriptions/{}": _retrieve("subscription"),
    "POST /v1/subscriptions/{}": billing_api.update_subscription,
    "DELETE /v1/subscriptions/{}": billing_api.cancel_subscription,
    "POST /v1/invoiceitems": billing_api.create_invoice_item,
    "GET /v1/invoiceitems/{}": _retrieve("invoiceitem"),
    "DELETE /v1/invoiceitems/{}": upkeep.deleting("invoiceitem"),
    "POST /v1/invoices": billing_api.create_invoice,
    "GET /v1/invoices": _listing("invoice", "/v1/invoices", "customer", "status"),
    "GET /v1/invoices/{}": _retrieve("invoice"),
    "GET /v1/invoices/{}/lines": _invoice_lines,
    "POST /v1/invoices/{}": billing_api.update_invoice,
    "DELETE /v1/invoices/{}": upkeep.deleting("invoice"),
    "POST /v1/invoices/{}/send": upkeep.send_invoice,
    "POST /v1/invoices/{}/mark_uncollectible": upkeep.mark_uncollectible,
    "POST /v1/invoices/{}/finalize": billing_api.finalize_invoice,
    "POST /v1/invoices/{}/pay": billing_api.pay_invoice,
    "POST /v1/invoices/{}/attach_payment": billing_api.attach_payment,
    "POST /v1/invoices/{}/void": billing_api.void_invoice,
    "GET /v1/invoice_payments": _invoice_payments,
    "GET /v1/invoice_payments/{}": _retrieve("invoice_payment"),
    "GET /v1/events": _events,
    "GET /v1/events/{}": _event,
    "GET /v2/core/events/{}": thin.retrieve,
}
# The private endpoints that the Stripe CLI uses take what they are given.
_ANY: Final = ("POST /v1/payment_pages/{}/confirm",)


def _route(key: str, handler: Handler) -> Route:
    method, template = key.split(" ")
    allowed = None if key in _ANY else ROUTES.get(key, _PAGE if method == "GET" else frozenset({"expand"}))
    return Route(method, template, handler, allowed)


_ROUTES: Final = tuple(_route(key, handler) for key, handler in _HANDLERS.items())


def answer(scope: Scope, method: str, path: str, params: Obj) -> Obj:
    """
    Do what a request asks, and return the object or list that answers it.

    Raises:
        StripeFailure: Stripe would answer with an error.
    """
    route, ids = find(method, path)
    if route.allowed is not None:
        read.check_names(params, route.allowed)
    target = scope.find(ids[0]) if ids and method != "GET" else None
    with scope.world.all_or_nothing(target):
        result: Any = route.handler(scope, params, *ids)
        return answers.shown(scope, result, params)
