"""Every flow that the fake Stripe plays through the real library: what it says was paid is what the ledger records."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

import pytest

from support.scenarios import SCENARIOS
from support.scenarios import play as play_scenario
from support.stripe_events import EVIDENCE
from support.till import Books, Till, play

UNTOLD = "partial invoice payments"
"""Intents of the merchant's own that pay an invoice: until the InvoicePayment comes nothing says so, and they count alone."""


@cache
def scene(name: str, seed: int = 1) -> tuple[Books, tuple[dict[str, Any], ...]]:
    truth, deliveries = play_scenario(name, seed)
    paid = sorted((p.id, p.amount_minor, p.currency.upper()) for p in truth.payments)
    return paid, tuple(json.loads(d.body) for d in deliveries)


@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - {UNTOLD}))
def test_what_was_paid_is_what_is_recorded(name: str) -> None:
    """In any order, once or twice, the deliveries of a flow give each payment once with its amount and canonical id."""
    paid, bodies = scene(name)
    shuffle = random.Random(11).shuffle
    wrong = []
    for round_ in range(8):
        order = list(bodies) * (1 + round_ % 2)
        shuffle(order)
        books = play(order)
        if books != paid:
            wrong.append(books)

    assert [] == wrong


def test_many_flows_at_once_stay_themselves() -> None:
    """Ten flows together, shuffled: the payments of each, and no other."""
    names = ("card checkout", "delayed success", "two orders same second", "checkout with invoice", "partial capture")
    names += ("multi capture", "legacy charge", "subscription", "manual invoice", "connect direct")
    chosen = [scene(name, seed) for seed, name in enumerate(names, start=100)]  # ids of its own for each
    order = [body for _, bodies in chosen for body in bodies]
    random.Random(5).shuffle(order)

    assert sorted(p for paid, _ in chosen for p in paid) == play(order)


def test_intents_that_are_known_to_pay_an_invoice_are_one_order() -> None:
    """Several intents that pay one invoice are one order of the invoice's amount, when their links come first."""
    paid, bodies = scene(UNTOLD)
    links = [body for body in bodies if body["type"] == "invoice_payment.paid"]
    rest = [body for body in bodies if body["type"] in EVIDENCE and body not in links]
    random.Random(2).shuffle(rest)
    bill = [body for body in rest if body["type"] == "invoice.paid"]

    assert paid == play([*links, *bill, *rest])


def test_test_mode_says_so() -> None:
    """What is paid in Stripe's test mode is recorded as such."""
    till = Till()
    for body in scene("card checkout")[1]:
        till.deliver(body)
    till.close_day()

    assert [{False}] == [{c[1] for c in p.labels["livemode"].values()} for p in till.recorded]
