# SPDX-License-Identifier: Apache-2.0
"""The faults: name, how each is caused, what is promised."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

from . import causes, far_end
from .scene import Scene

Cause = Callable[[Scene], AbstractContextManager[None]]

EVERY: Final = 50


def _good(order: str) -> bool:
    return int(order.removeprefix("o-") or 0) % EVERY != 0


@dataclass(frozen=True)
class Fault:
    """
    One row of the table.

    Attributes:
        name: for people and the command line.
        cause: how it is caused, in the reader's words.
        expected: what is promised, beside "nothing lost, nothing doubled".
        during: brings it about while most payments are made.
        says: what the application's log must contain.
        apps: processes at once.
        aside: whether events end set aside; elsewhere none may.
        environ: settings.
    """

    name: str
    cause: str
    expected: str
    during: Cause
    says: str = ""
    apps: int = 1
    aside: bool = False
    environ: dict[str, str] = field(default_factory=dict)


FAULTS: Final = (
    Fault("none", "nothing", "the figures to compare with", causes.nothing),
    # -- the application dies
    Fault(
        "kill",
        "`kill -9` of the application at random moments of its requests",
        "Stripe sends again what had no answer",
        causes.kill,
    ),
    Fault(
        "kill-delivery",
        "`kill -9` while the receiver has a request and has not answered",
        "sent again under the same ids",
        causes.kill_delivery,
    ),
    Fault(
        "sigterm",
        "SIGTERM at random moments",
        "flushed within the bound; the next start sends the rest",
        causes.terminate,
    ),
    Fault(
        "fork",
        "the application forks when it has been used; the child goes on, then ends",
        "each process delivers its own",
        causes.fork,
    ),
    Fault(
        "processes",
        "four processes on one store, each payment told to two of them",
        "one order each",
        causes.several,
        apps=4,
    ),
    # -- the far end
    Fault("closed-port", "nobody listens", "everything waits on disk", causes.closed_port),
    Fault(
        "down-and-kill",
        "nobody listens for the whole run; `kill -9`; up afterwards",
        "the next start delivers",
        causes.down_and_kill,
    ),
    Fault("hang", "the receiver accepts and never answers", "timeout, then again", causes.mood(far_end.hanging)),
    Fault(
        "drip",
        "the answer comes a byte at a time, without end",
        "cut off at the timeout",
        causes.mood(far_end.dripping),
    ),
    Fault(
        "400-some",
        f"400 for every request with one of every {EVERY}th order's events in it, for good",
        "those alone are set aside",
        causes.poison(far_end.refusing(400, lambda call: not all(map(_good, call.orders)))),
        says="refused an event for good",
        aside=True,
    ),
    Fault(
        "400-all",
        "400 for everything",
        "set aside one by one; `otel-revenue outbox retry --all` delivers",
        causes.refused_and_retried,
        says="refused an event for good",
    ),
    Fault(
        "401",
        "401: a key that has expired",
        "nothing is set aside; goes on when the key is mended",
        causes.mood(far_end.status(401)),
        says="refuses us",
    ),
    Fault(
        "413",
        "413 for requests above 20 kB",
        "smaller requests",
        causes.mood(far_end.refusing(413, lambda call: len(call.body) > 20_000)),
    ),
    Fault(
        "429", "429 with `Retry-After: 1`", "waits as long as asked", causes.mood(far_end.status(429, Retry_After="1"))
    ),
    Fault("503", "503", "again, less and less often", causes.mood(far_end.status(503))),
    Fault(
        "partial",
        f"partial success: every {EVERY}th order's events are rejected, the rest taken, for good",
        "those alone are set aside",
        causes.poison(far_end.taking_some(_good)),
        says="refused an event for good",
        aside=True,
    ),
    Fault(
        "web-page",
        "200 with a web page, as a proxy's log-in has it",
        "no acknowledgement; nothing is set aside",
        causes.mood(far_end.web_page),
        says="refuses us",
    ),
    Fault("garbage", "200 with bytes that are no OTLP", "no acknowledgement", causes.mood(far_end.gibberish)),
    Fault(
        "broken-answer",
        "takes the events, then closes in the middle of the answer",
        "sent again under the same ids",
        causes.mood(far_end.breaking_off),
    ),
    # -- the disk
    Fault(
        "disk-full",
        "no file may grow (`RLIMIT_FSIZE`), neither ledger nor spool",
        "kept in memory, written when there is room",
        causes.disk_full,
        says="kept aside",
    ),
    Fault(
        "read-only",
        "ledger and its folder become read-only; the application is killed",
        "kept aside on disk beside it, or in memory",
        causes.read_only,
        says="otel-revenue: the ledger",
    ),
    Fault(
        "deleted",
        "the ledger's files are deleted while events wait in it",
        "written anew from what is open",
        causes.deleted,
        says="was deleted while it was in use",
    ),
    Fault(
        "folder-deleted",
        "the whole store's folder is deleted",
        "begun anew",
        causes.folder_deleted,
        says="was deleted while it was in use",
    ),
    Fault(
        "truncated",
        "the ledger is cut in half while nothing waits in it",
        "moved aside; what can be read is rescued",
        causes.truncated,
        says="It was moved to",
    ),
    Fault(
        "emptied",
        "the ledger is cut to nothing while nothing waits in it",
        "put back from what is open, or begun anew, said loudly",
        causes.emptied,
        says="otel-revenue: the ledger",
    ),
    Fault(
        "corrupted",
        "a page of the ledger's index is overwritten while events wait in it",
        "moved aside; what can be read is rescued",
        causes.corrupted,
        says="It was moved to",
    ),
    Fault(
        "torn-spool",
        "`kill -9`, and the end of its spool file is half a frame",
        "the torn part is passed over, counted",
        causes.torn_spool,
    ),
    Fault(
        "locked",
        "another process holds the ledger for seconds",
        "kept aside on disk, joined when it is free",
        causes.locked,
        says="busy or broken",
    ),
    # -- time and versions
    Fault(
        "clock",
        "the clock jumps: a day ahead, two days back, and home",
        "nothing waits for a time that never comes",
        causes.clock,
    ),
    Fault(
        "newer-layout",
        "a newer otel-revenue has changed the store; the application restarts, and is upgraded later",
        "kept aside on disk until then",
        causes.newer_layout,
        says="was written by a newer otel-revenue",
    ),
)

BY_NAME: Final = {fault.name: fault for fault in FAULTS}
