# SPDX-License-Identifier: Apache-2.0
"""
Webhooks: really signed, really posted, tried again until the endpoint answers 2xx; doubled, delayed, shuffled or lost on
request.

Each endpoint has its own queue and thread, so that a dead one holds nobody up. Sent with the standard library alone: an
HTTP client that the user's tests have instrumented would add headers that Stripe does not send.
"""

from __future__ import annotations

import copy
import heapq
import http.client
import itertools
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from . import thin
from .deliveries import Behaviour, Delivery, Endpoint, payload, rendered, sign

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from .world import Obj, World

_REORDER_S: Final = 0.25
"""With `reorder`, deliveries are spread over this time at random."""


@dataclass(frozen=True)
class _Job:
    event: Obj
    body: bytes
    copy: int
    attempt: int = 1


class Webhooks:
    """
    The sender.

    Args:
        rng: for drops and shuffles.
        clock: for signatures; seconds since the epoch.
    """

    def __init__(self, *, rng: random.Random, clock: Callable[[], float] = time.time) -> None:
        self._rng = rng
        self._clock = clock
        self._lock = threading.Condition()
        self._lanes: list[_Lane] = []
        self._held: list[tuple[_Lane, _Job]] = []
        self._log: list[Delivery] = []
        self.behaviour = Behaviour()

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where events go."""
        with self._lock:
            return [lane.endpoint for lane in self._lanes]

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempt so far."""
        with self._lock:
            return list(self._log)

    @property
    def pending(self) -> int:
        """Deliveries that are neither made nor given up nor held."""
        with self._lock:
            return sum(lane.pending for lane in self._lanes)

    @property
    def held(self) -> int:
        """Deliveries that wait for `release()`."""
        with self._lock:
            return len(self._held)

    def add(self, endpoint: Endpoint) -> None:
        """Send there from now on."""
        with self._lock:
            self._lanes.append(_Lane(endpoint, self))

    def configure(self, **changes: Any) -> Behaviour:
        """
        Change how deliveries go; see `Behaviour` for the names. Returns the new behaviour.

        Raises:
            ValueError: a name or value is wrong.
        """
        with self._lock:
            self.behaviour = self.behaviour.changed(**changes)
            return self.behaviour

    def dispatch(self, world: World, events: Sequence[Obj]) -> None:
        """Queue *events* for every endpoint that wants them."""
        for event in events:
            with self._lock:
                lanes = [lane for lane in self._lanes if lane.endpoint.wants(event)]
            event["pending_webhooks"] = len(lanes)
            for lane in lanes:
                shown = rendered(world, event, lane.endpoint.api_version)
                body = payload(thin.event(shown) if lane.endpoint.thin else shown)
                with self._lock:
                    self._queue(lane, event, body)

    def _queue(self, lane: _Lane, event: Obj, body: bytes) -> None:
        for number in range(1, self.behaviour.duplicates + 1):
            if self._dropped(event):
                continue
            job = _Job(event, body, number)
            if self.behaviour.hold:
                self._held.append((lane, job))
            else:
                lane.push(job, self._wait(), self._lock)

    def _dropped(self, event: Obj) -> bool:
        drop = self.behaviour.drop
        return event["type"] in drop if isinstance(drop, frozenset) else self._rng.random() < drop

    def _wait(self) -> float:
        spread = self._rng.uniform(0, _REORDER_S) if self.behaviour.reorder else 0.0
        return self.behaviour.delay + spread

    def send(self, world: World, event: Obj) -> None:
        """Deliver an old event once more, as a click on "Resend" does."""
        self.dispatch(world, [copy.deepcopy(event)])

    def release(self) -> int:
        """Let go what was held (shuffled, with `reorder`), hold nothing more, and return how many went."""
        with self._lock:
            held, self._held = self._held, []
            self.behaviour = replace(self.behaviour, hold=False)
            if self.behaviour.reorder:
                self._rng.shuffle(held)
            for lane, job in held:
                lane.push(job, 0.0, self._lock)
            return len(held)

    def drain(self, timeout: float = 10.0) -> bool:
        """
        Wait until nothing is pending (what is held does not count), and return True.

        Raises:
            TimeoutError: something still is after *timeout* seconds; the text says how much and what went wrong last.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            while waiting := sum(lane.pending for lane in self._lanes):
                left = deadline - time.monotonic()
                if left <= 0:
                    last = next((d for d in reversed(self._log) if not 200 <= d.status < 300), None)
                    raise TimeoutError(f"{waiting} deliveries are still pending; last failure: {last}")
                self._lock.wait(left)
        return True

    def stop(self) -> None:
        """End the threads; what is pending is not sent."""
        with self._lock:
            lanes = list(self._lanes)
            for lane in lanes:
                lane.stopped = True
            self._lock.notify_all()
        for lane in lanes:
            lane.join()

    def done(self, lane: _Lane, job: _Job, signature: str, status: int, error: str) -> None:
        """Note the outcome of one attempt, and plan the next one if it failed."""
        behaviour = self.behaviour
        failed = not 200 <= status < 300
        last = job.attempt >= behaviour.attempts
        with self._lock:
            self._log.append(
                Delivery(
                    event_id=job.event["id"],
                    type=job.event["type"],
                    endpoint=lane.endpoint.url,
                    attempt=job.attempt,
                    copy=job.copy,
                    status=status,
                    error=error,
                    gave_up=failed and last,
                    body=job.body,
                    signature=signature,
                )
            )
            if failed and not last:
                wait = min(behaviour.backoff_most, behaviour.backoff * 2 ** (job.attempt - 1))
                lane.push(replace(job, attempt=job.attempt + 1), wait, self._lock)
            lane.pending -= 1
            self._lock.notify_all()

    def header(self, body: bytes, secret: str) -> str:
        """Return the signature header, with the time of now."""
        return sign(body, secret, int(self._clock()))

    @property
    def condition(self) -> threading.Condition:
        """What guards the queues."""
        return self._lock


class _Lane:
    """The queue and the threads of one endpoint. Everything here is guarded by the sender's lock."""

    def __init__(self, endpoint: Endpoint, sender: Webhooks) -> None:
        self.endpoint = endpoint
        self.pending = 0
        self.stopped = False
        self._sender = sender
        self._due: list[tuple[float, int, _Job]] = []
        self._numbers = itertools.count()
        self._threads: list[threading.Thread] = []

    def push(self, job: _Job, wait: float, lock: threading.Condition) -> None:
        """Queue *job* for *wait* seconds from now; what is collected goes into the record at once."""
        if self.endpoint.collected:
            self.pending += 1
            self._sender.done(self, job, self._sender.header(job.body, self.endpoint.secret), 200, "")
            return
        heapq.heappush(self._due, (time.monotonic() + wait, next(self._numbers), job))
        self.pending += 1
        while len(self._threads) < self._sender.behaviour.concurrency:
            thread = threading.Thread(target=self._run, name="fake-stripe-webhooks", daemon=True)
            self._threads.append(thread)
            thread.start()
        lock.notify_all()

    def join(self) -> None:
        """Wait for the threads to end."""
        for thread in self._threads:
            thread.join(timeout=15)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            signature = self._sender.header(job.body, self.endpoint.secret)
            status, error = self._post(job, signature)
            self._sender.done(self, job, signature, status, error)

    def _next(self) -> _Job | None:
        condition = self._sender.condition
        with condition:
            while not self.stopped:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2]
                condition.wait(wait)
        return None

    def _post(self, job: _Job, signature: str) -> tuple[int, str]:
        target = urlsplit(self.endpoint.url)
        kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
        connection = kind(target.hostname or "", target.port, timeout=self._sender.behaviour.timeout)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature,
        }
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        try:
            connection.request("POST", path, body=job.body, headers=headers)
            response = connection.getresponse()
            response.read()
            return response.status, ""
        except (OSError, http.client.HTTPException) as error:
            return 0, type(error).__name__
        finally:
            connection.close()
