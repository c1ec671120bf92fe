# SPDX-License-Identifier: Apache-2.0
"""
What we do with what the hooks see: inject the trace context, remember creations, take facts from webhooks and answers.

Everything here runs in the caller's thread, inside the guard of the hooks.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from otel_revenue._guard import guard
from otel_revenue.signals import bound, spans

from . import facts, items, order
from .metadata import inject
from .params import normalise
from .readers import reader_factory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_revenue.ledger.ledger import Taken
    from otel_revenue.ledger.model import Facts, Labels
    from otel_revenue.runtime import Runtime

    from .facts import Reading
    from .hooks import ApiAnswer, ApiCall
    from .lookup.parts import LookupOf

MAX_BODY: Final = 1024 * 1024
"""Stripe's events stay far below; a larger body is noted and not parsed on the request path."""


class StripeListener:
    """
    Listens to the hooks on behalf of a runtime.

    Args:
        runtime: the running parts.
        lookup: what asks Stripe beside the requests; None where nothing does.
    """

    def __init__(self, runtime: Runtime, lookup: LookupOf | None = None) -> None:
        self._runtime = runtime
        self._lookup = lookup
        self._reader = reader_factory(runtime.settings, self._clean)

    # -- calls of Stripe's API --------------------------------------------------------------------------------------

    def before_call(self, call: ApiCall) -> object | None:
        """Return parameters with the trace context in their metadata, or None to leave them alone."""
        if (
            not self._runtime.settings.metadata_injection
            or call.method.upper() != "POST"
            or call.url not in facts.CREATIONS
        ):
            return None
        traceparent = spans.traceparent_of(spans.request_ids(self._runtime.servers))
        if not traceparent:
            return None
        params, reason = inject(call.method, call.url, call.params, call.options, traceparent)
        self._runtime.instruments.injection.add(1, {"reason": str(reason)})
        return None if params is call.params else params

    def after_call(self, call: ApiCall, answer: ApiAnswer) -> None:
        """Take facts from an answer: a creation, or something that says paid about what we saw created."""
        if self._lookup is not None and answer.status == 200:
            with guard("stripe.lookup"):
                self._lookup.clients.remember(call)
        method = call.method.upper()
        path = call.url.split("?", 1)[0]
        if answer.status != 200 or answer.body is None or not _speaks_of_payments(path) or len(answer.body) > MAX_BODY:
            return
        created = method == "POST" and path.rstrip("/") in facts.CREATIONS
        if not created and b'"succeeded"' not in (body := _bytes(answer.body)) and b'"paid"' not in body:
            return  # cannot be evidence; the common answer is not parsed
        now_ns, seen = time.time_ns(), self._seen()
        bound_labels = self._bound_labels()
        requested: Labels = {}
        if created:
            settings = self._runtime.settings
            requested = items.from_params(normalise(call.params), settings.sku_from, settings.tier_from, self._clean)
            requested.update({n: {**requested.get(n, {}), **v} for n, v in bound_labels.items()})
        told = json.loads(answer.body)
        reading = facts.from_answer(
            method,
            path,
            told,
            self._reader,
            account=call.account or "",
            now_ns=now_ns,
            seen=seen,
            requested=requested,
            traceparent=spans.traceparent_of(seen) if created else "",
        )
        for item in reading.facts:
            with guard("stripe.take"):  # one answer may tell of a creation and of its payment: each is taken for itself
                taken = self._runtime.take(item, bind=bound_labels)
                if item.created and facts.begins_checkout(told):
                    self._announce(item, taken)
        if reading.problem:
            self._runtime.set_aside("api", reading.kind, reading.problem, reading.ids)

    def _announce(self, item: Facts, taken: Taken | None) -> None:
        """
        Record `checkout.session_created`, once per object.

        While the ledger is busy (*taken* is None) it cannot be asked whether that was done: the id is the object's own.
        """
        if not item.aliases or (taken is not None and (not taken.new or taken.group is None)):
            return
        name = next((a for a in item.aliases if a.kind in ("cs", "pi")), item.aliases[0])
        labels = item.labels if taken is None or taken.group is None else taken.group.labels
        attributes = order.created_attributes(name, labels, self._runtime.settings)
        self._runtime.record("checkout.session_created", attributes, on_server=True)

    # -- webhooks ---------------------------------------------------------------------------------------------------

    def webhook(self, payload: str | bytes | Mapping[str, Any], *, verified: bool) -> None:
        """Take facts from one delivery; what cannot be read and may have money in it is set aside with a reason."""
        source = "webhook" if verified else "unverified"
        if isinstance(payload, (str, bytes, bytearray)):
            if len(payload) > MAX_BODY:
                self._runtime.set_aside(source, "other", "body_too_large", ())
                return
            try:
                payload = json.loads(payload)
            except (ValueError, RecursionError) as error:
                reason = "body_too_deep" if isinstance(error, RecursionError) else "not_json"
                self._runtime.set_aside(source, "other", reason, ())
                return
        try:
            reading = facts.from_event(payload, self._reader, now_ns=time.time_ns(), seen=self._seen())
        except Exception as error:
            # A failure of our own: nobody knows what it was about, so it must at least be known by its ids.
            self._runtime.set_aside(source, "other", f"failed_{type(error).__name__}", facts.ids_of_event(payload))
            raise
        if reading.thin is not None and self._lookup is not None and self._lookup.fetch_later(reading.thin):
            return
        if reading.problem:
            self._runtime.set_aside(source, reading.kind, reading.problem, reading.ids)
        bound_labels = self._bound_labels()
        for item in reading.facts:
            taken = self._runtime.take(item, bind=bound_labels)
            with guard("stripe.link"):
                self._link(reading, taken)

    def _link(self, reading: Reading, taken: Taken | None) -> None:
        if not spans.current_ids()[0]:
            return  # outside of a trace there is nothing to show it on
        group = None if taken is None else taken.group
        labels = {} if group is None else group.labels
        if any(candidate[1] == "subscription_renewal" for candidate in labels.get("kind", {}).values()):
            return  # the metadata of a subscription leads to a checkout of long ago
        spans.link_checkout(self._runtime.servers, (group.traceparent if group else "") or reading.traceparent)
        attributes = order.context_attributes(labels, self._runtime.settings, currency="")
        self._runtime.show_context(attributes)

    # -- helpers: what they read from tracing and from the application is never a reason to lose a payment ----------

    def _seen(self) -> tuple[int, int, int]:
        with guard("stripe.trace"):
            return spans.request_ids(self._runtime.servers)
        return 0, 0, 0

    def _clean(self, text: str) -> str | None:
        return self._runtime.clean_text(text)

    def _bound_labels(self) -> Labels:
        with guard("stripe.bound"):
            return self._runtime.labels_of(bound.current(self._runtime.servers))
        return {}


_PATHS: Final = ("/v1/checkout/sessions", "/v1/payment_intents", "/v1/subscriptions", "/v1/invoices", "/v1/charges")


def _speaks_of_payments(path: str) -> bool:
    return path.startswith(_PATHS)


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body
