# SPDX-License-Identifier: Apache-2.0
"""What an answer tells about a payment on hold, through the same allow-list as webhooks. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_revenue.instrumentation.stripe import facts
from otel_revenue.instrumentation.stripe.items import from_lines
from otel_revenue.instrumentation.stripe.joins import LOOKED_UP
from otel_revenue.instrumentation.stripe.objects import SESSION
from otel_revenue.instrumentation.stripe.picked import id_of, mapping, mappings
from otel_revenue.ledger.model import Alias, Facts

from . import questions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_revenue.instrumentation.stripe.picked import Reader

    from .questions import Question

_PAID: Final = "paid"


def told(question: Question, body: object, reader: Reader) -> list[Facts]:
    """Return the facts of an answer to any question but that for line items; none when it says nothing of the payment."""
    answer = mapping(body)
    if question.topic == questions.INVOICE_OF_INTENT:
        objects = _invoices(answer)
    elif question.topic == questions.SESSION_OF_INTENT:
        objects = list(mappings(answer.get("data")))
    else:
        objects = [answer]
    found = (facts.looked_up(obj, reader) for obj in objects)
    return [item for item in found if item is not None and _of_this(question, item)]


def items(question: Question, pages: Sequence[object], reader: Reader) -> Facts:
    """
    Return the line items of a Session; where they do not give a whole count, the mark that says so.

    The payment is recorded as soon as it has either.
    """
    whole = bool(pages) and not mapping(pages[-1]).get("has_more")
    lines = [line for page in pages for line in mappings(mapping(page).get("data"))]
    labels = from_lines(
        {"data": lines, "has_more": not whole or len(lines) > questions.PAGE},
        reader.sku_from,
        reader.tier_from,
        reader.clean,
    )
    return _of_session(question, labels) if "item_count" in labels else nothing(question, "none")


def nothing(question: Question, why: str) -> Facts:
    """Return the mark that says: the line items were asked for, and there will be none. *why* is a constant of the code."""
    return _of_session(question, {LOOKED_UP: {why: [9, True]}})


def last_line(page: object) -> str:
    """Return the id of the last line when more follow, else ""."""
    answer = mapping(page)
    lines = list(mappings(answer.get("data")))
    return id_of(lines[-1]) if answer.get("has_more") is True and lines else ""


def _of_session(question: Question, labels: dict[str, Any]) -> Facts:
    return Facts(aliases=(Alias(SESSION, question.account, question.id),), labels=labels)


def _of_this(question: Question, item: Facts) -> bool:
    """Say whether the facts are about what was asked: an answer about something else must not make an order."""
    return any(alias.id == question.id for alias in item.aliases)


def _invoices(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the payments of invoices that went through, each followed by its invoice: one that failed links nothing."""
    objects: list[dict[str, Any]] = []
    for payment in mappings(answer.get("data")):
        if payment.get("status") == _PAID:
            invoice = mapping(payment.get("invoice"))
            linked = {**invoice, "payment_intent": mapping(payment.get("payment")).get("payment_intent")}
            objects += [payment, linked] if invoice else [payment]
    return objects
