# SPDX-License-Identifier: Apache-2.0
"""Who may ask, and when: one question at a time, within the rate, with a key that was not refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from otel_revenue._guard import logger, warn_once

from . import answers, questions
from .ask import Answer, Outcome, ask
from .pacing import Backoff, Bucket

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from otel_revenue.config import Settings
    from otel_revenue.signals.metrics import Instruments

    from .clients import Client, Clients
    from .questions import Question


class Asker:
    """
    Puts questions to Stripe, with the application's clients.

    Args:
        clients: whose settings to ask with.
        settings: the checked settings.
        instruments: where it is counted.
        wake: set when there is something else to do than to wait.
    """

    def __init__(
        self, clients: Clients, settings: Settings, instruments: Callable[[], Instruments], wake: threading.Event
    ) -> None:
        self._clients = clients
        self._sources = (*settings.sku_from, *settings.tier_from)
        self._instruments = instruments
        self._bucket = Bucket(settings.stripe_lookup_rate)
        self._backoff = Backoff()
        self._denied: set[tuple[str, str, str]] = set()
        self._wake = wake
        self.stopping = False

    @property
    def knows_a_key(self) -> bool:
        """Whether there is a key at all."""
        return self._clients.find("", livemode=None) is not None

    def pause_s(self) -> float:
        """Return for how long nothing is to be asked, after a failure."""
        return self._backoff.left_s(time.monotonic())

    def find(self, question: Question) -> Client | None:
        """Return what can put this question, None when no key is known."""
        return self._clients.find(question.account, livemode=question.livemode)

    def may_ask(self) -> bool:
        """Wait for a token; says whether a call may be made."""
        while not self.stopping and not self._backoff.left_s(time.monotonic()):
            wait_s = self._bucket.wait_s(time.monotonic())
            if not wait_s:
                return True
            self._wake.wait(wait_s)
            self._wake.clear()
        return False

    def ask(self, question: Question, kind: str = "") -> Answer | None:
        """
        Put a question; *kind* is the object of a thin event.

        Returns:
            the answer (for line items, its body is the list of pages); None where no key is known, or it was refused before.
        """
        client = self.find(question)
        if client is None:
            warn_once(
                "lookup.client",
                "otel-revenue: OTEL_REVENUE_STRIPE_LOOKUP is on, but this process has made no successful call of Stripe's API "
                "and stripe.api_key is not set: nothing is looked up until one of them changes. Payments are recorded as "
                "without the look-up.",
            )
            return None
        return self._ask(client, question, kind)

    def _ask(self, client: Client, question: Question, kind: str) -> Answer | None:
        named = f"{question.topic} {kind}".strip()
        if {(client.mark, "", ""), (client.mark, question.account, named)} & self._denied:
            return None
        answer, pages = Answer(Outcome.LATER), []
        after = ""
        for _ in range(questions.MAX_PAGES):
            answer = ask(client, *questions.put(question, kind, self._sources, after))
            pages.append(answer.body)
            after = answers.last_line(answer.body) if question.topic == questions.ITEMS else ""
            if answer.outcome is not Outcome.TOLD or not after or not self.may_ask():
                break
        self._instruments().lookups.add(1, {"question": question.topic, "outcome": answer.outcome.value})
        self._heard(client, question.account, named, answer)
        if question.topic == questions.ITEMS and answer.outcome is Outcome.TOLD:
            return Answer(answer.outcome, answer.status, pages)
        return answer

    def _heard(self, client: Client, account: str, named: str, answer: Answer) -> None:
        if answer.outcome is Outcome.LATER:
            self._backoff.failed(time.monotonic(), answer.retry_after_s)
            return
        self._backoff.answered()
        if answer.outcome is not Outcome.DENIED:
            return
        whole = answer.status == 401
        self._denied.add((client.mark, "", "") if whole else (client.mark, account, named))
        logger.error(
            "otel-revenue: Stripe refuses %s of the look-up (%d): %s. Nothing more of the kind is asked with this key in this "
            "process; payments are recorded as without the look-up. See docs/lookup.md.",
            "every question" if whole else f"the question {named}",
            answer.status,
            "the API key is wrong or was revoked" if whole else "the API key may not read this",
        )
