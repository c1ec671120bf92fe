# SPDX-License-Identifier: Apache-2.0
"""
The thread that asks.

One of its own: the application's HTTP client may hang for as long as its timeout is, and delivery must not. A payment on
hold is recorded by the worker when its time is over, whatever happens here.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from otel_revenue._guard import guard, report
from otel_revenue.errors import StoreError
from otel_revenue.instrumentation.stripe import facts
from otel_revenue.instrumentation.stripe.picked import mapping

from . import answers, questions
from .ask import Outcome
from .asker import Asker
from .pacing import Turns
from .turn import Turn
from .waiting import FOLDER, READER, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_revenue.config import Settings
    from otel_revenue.instrumentation.stripe.picked import Reader
    from otel_revenue.instrumentation.stripe.thin_events import Thin
    from otel_revenue.runtime.process import Process
    from otel_revenue.signals.metrics import Instruments

    from .clients import Clients
    from .questions import Question

_IDLE_S: Final = 5.0
_EVER_NS: Final = 2**63 - 1
_MOST: Final = 200
"""Payments on hold that are looked at, those that are due first."""
_PATIENCE_S: Final = 2.0
_THIN_TRIES: Final = 8


class Lookup:
    """
    Asks Stripe about the payments on hold in the store of one process, and fetches the objects of its thin events.

    Args:
        process: what belongs to this process.
        clients: whose settings to ask with.
        settings: the checked settings.
        make_reader: returns a `Reader` for account, time and mode.
        instruments: where it is counted.
    """

    def __init__(
        self,
        process: Process,
        clients: Clients,
        settings: Settings,
        make_reader: Callable[..., Reader],
        instruments: Callable[[], Instruments],
    ) -> None:
        self._process = process
        self._settings = settings
        self._make_reader = make_reader
        self._instruments = instruments
        self._waiting = Waiting(process.open_queue(FOLDER, READER))
        self._turn = Turn(process.beside_path("lookup.lock"))
        # The webhook that settles a payment is under way, as a rule; where the holds are short, so is the patience.
        patience_s = min(_PATIENCE_S, settings.enrich_hold / 4)
        self._holds: Turns[Question] = Turns(patience_s)
        self._thin: Turns[int] = Turns(1.0, times=None)
        self._wake = threading.Event()
        self._asker = Asker(clients, settings, instruments, self._wake)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False

    # -- from any thread ----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Say that there is something to ask; starts the thread where it does not run yet."""
        with self._starting:
            if self._thread is None and not self._stopping:
                thread = threading.Thread(target=self._run, name="otel-revenue-lookup", daemon=True)
                thread.start()
                self._thread = thread
        self._wake.set()

    def fetch_later(self, thin: Thin) -> bool:
        """Keep a thin event until its object is fetched; returns whether there was room."""
        kept = self._waiting.add(thin)
        self.wake()
        return kept

    def stop(self, timeout_s: float) -> None:
        """End the thread; a call that hangs is not waited for longer than the bound, and its answer is not taken."""
        self._stopping = self._asker.stopping = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
        self._turn.give()
        self._waiting.close()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's files."""
        self._stopping = self._asker.stopping = True
        self._turn.give()
        self._waiting.abandon()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            pause_s = _IDLE_S
            with guard("stripe.lookup"):
                pause_s = self._pass()
            self._wake.wait(pause_s)

    def _pass(self) -> float:
        """Ask what is due, a second's worth of questions at most; returns how long to wait for the next pass."""
        waits = [_IDLE_S]
        most = max(1, int(self._settings.stripe_lookup_rate))
        waits += [self._some(self._ask_holds, most), self._some(self._ask_thin, most)]
        return max(0.01, min(waits), self._asker.pause_s())

    def _some(self, ask_some: Callable[[int], float], most: int) -> float:
        try:
            return ask_some(most)
        except StoreError:  # nobody's fault but the store's
            return 1.0

    def _ask_holds(self, most: int) -> float:
        if not self._turn.take():
            return _IDLE_S
        wait_s = self._ask_open(most)
        if not self._asker.knows_a_key:
            self._turn.give()  # a process that has a key may do better
        return wait_s

    def _ask_open(self, most: int) -> float:
        wait_s, asked = _IDLE_S, 0
        open_questions = self._open_questions()
        self._holds.keep_only(open_questions)
        for question in open_questions:
            # No webhook brings line items: they are asked for at once, unless another process may know a key.
            at_once = question.topic == questions.ITEMS and self._asker.find(question) is not None
            due_s = self._holds.due_in_s(question, time.monotonic(), at_once=at_once)
            if due_s is None:
                continue
            if due_s > 0 or asked >= most:
                wait_s = min(wait_s, due_s)
                continue
            if not self._asker.may_ask():
                return 0.0
            asked += 1
            self._settle(question)
            again_s = self._holds.due_in_s(question, time.monotonic())
            wait_s = wait_s if again_s is None else min(wait_s, again_s)
        return wait_s

    def _open_questions(self) -> list[Question]:
        """Return what payments on hold raise, those that are due first: derived from the ledger, so that it survives a restart."""
        if not self._process.store.next_due_ns():
            return []
        with self._process.store.transaction() as tx:
            pairs = [(g, tx.group(g.twin) if g.twin else None) for g in tx.due_groups(_EVER_NS, _MOST)]
        found = (questions.raised(group, twin) for group, twin in pairs)
        return list(dict.fromkeys(q for q in found if q is not None))

    def _settle(self, question: Question) -> None:
        """Ask about one payment, and take what is told."""
        answer = self._asker.ask(question)
        self._holds.put(question, time.monotonic(), self._asker.pause_s() or None)
        if self._stopping:
            return
        reader = self._make_reader(account=question.account, at_ns=question.at_ns, livemode=question.livemode)
        if answer is not None and answer.outcome is Outcome.TOLD:
            if question.topic == questions.ITEMS:
                told = [answers.items(question, answer.body, reader)]
            else:
                told = answers.told(question, answer.body, reader)
            for item in told:
                self._process.take(item)
        elif question.topic == questions.ITEMS and (answer is None or answer.outcome is not Outcome.LATER):
            self._process.take(answers.nothing(question, "unanswered"))  # nothing will come: it waits no longer

    def _ask_thin(self, most: int) -> float:
        wait_s, asked = _IDLE_S, 0
        for number, thin in self._waiting.open():
            due_s = self._thin.due_in_s(number, time.monotonic(), at_once=True) or 0.0
            if due_s > 0 or asked >= most:
                wait_s = min(wait_s, due_s)
                continue
            if not self._asker.may_ask():
                return 0.0
            asked += 1
            wait_s = min(wait_s, self._fetch(number, thin))
        return wait_s

    def _fetch(self, number: int, thin: Thin) -> float:
        """Fetch one object; returns when to go on, in seconds."""
        question = questions.of_thin(thin)
        answer = self._asker.ask(question, facts.object_of(thin.kind))
        if self._stopping:
            return _IDLE_S
        if answer is None or answer.outcome in (Outcome.LATER, Outcome.DENIED):
            tries = self._thin.put(number, time.monotonic())
            if tries < _THIN_TRIES or answer is None:
                return self._thin.due_in_s(number, time.monotonic()) or 0.0
            self._thin.forget(number)
            self._waiting.put_back(number)
            return 0.0
        problem = self._take_fetched(thin, answer.body) if answer.outcome is Outcome.TOLD else "thin_event_gone"
        if problem:
            ids = tuple(i for i in (thin.event_id, thin.object_id) if i)
            self._instruments().unread.add(1, {"source": "lookup", "kind": thin.kind, "reason": problem})
            self._process.note("lookup", thin.kind, problem, ids)
        self._thin.forget(number)
        self._waiting.done(number)
        return 0.0

    def _take_fetched(self, thin: Thin, obj: object) -> str:
        """Take what the object of a thin event tells; returns the problem, "" for none."""
        if mapping(obj).get("id") != thin.object_id:
            return "object_missing"
        try:
            reading = facts.from_event(thin.with_object(obj), self._make_reader, now_ns=thin.at_ns, seen=thin.seen)
            for item in reading.facts:
                self._process.take(item)
        except Exception as error:  # noqa: BLE001 - a failure of our own: it must be known by its ids, and hold up no other
            report("stripe.lookup", error)
            return f"failed_{type(error).__name__}"
        return reading.problem
