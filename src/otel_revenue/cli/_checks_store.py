# SPDX-License-Identifier: Apache-2.0
"""The store: whether it is there, will last, has room, and what waits in it. Nothing is written."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_revenue.errors import RevenueError

from . import _store
from ._findings import OLD_NS, fail, ok, skip, warn
from ._words import age, amounts, count, size
from .outbox import used_destination

if TYPE_CHECKING:
    from ._findings import Around, Check, Finding

_MIB: Final = 1024**2
_LOW: Final = 512 * _MIB
_NONE_LEFT: Final = 32 * _MIB
_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "fuse.s3fs"}
)
_NAMES: Final = {"cs": "Checkout Sessions", "pi": "PaymentIntents", "ch": "charges", "in": "invoices"}
_SPOOL: Final = "set OTEL_REVENUE_SPOOL to a folder on a disk that stays; in a container, on a volume"
_VOLUME: Final = "set OTEL_REVENUE_STORE to a folder on a disk that stays; in a container, on a volume"


def place(around: Around) -> list[Finding]:
    """Where it is, and whether the application may write there."""
    folder = around.place.folder
    shared = around.place.database
    volume = _VOLUME if shared is None else _SPOOL
    if folder is None:
        return [
            warn("the store is in memory: what waits is lost when a process ends, and each counts for itself", _VOLUME)
        ]
    try:
        there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
        if not there.is_dir():
            return [fail(f"the {_noun(around)} cannot be made in {folder}: {there} is no folder", volume)]
    except PermissionError:
        return [
            fail(
                f"the {_noun(around)}'s folder {folder} may not be looked into by this user (uid {os.geteuid()})",
                "run this as the application's user; if it is that user, mend the folder's permissions",
            )
        ]
    said = f"the store is {folder} ({around.place.because})"
    if shared is not None:
        said = f"the store is {shared} ({around.place.because}); what waits on this host is in {folder}"
    found = [ok(said)]
    if not os.access(there, os.W_OK | os.X_OK):
        found = [
            fail(
                f"{there} may not be written by this user (uid {os.geteuid()}): "
                + ("the application's ledger and outbox" if shared is None else "what the database cannot take")
                + " would be in memory",
                f"mend the folder's permissions, or {volume}",
            )
        ]
    return found + _medium(there, _mounts(), volume) + _room(there, around)


def _noun(around: Around) -> str:
    return "store" if around.place.database is None else "spool"


def _medium(folder: Path, mounts: dict[str, str], volume: str = _VOLUME) -> list[Finding]:
    """Return what is to be said of the file system that *folder* is on; *mounts*: its type by mount point."""
    resolved = folder.resolve()
    points = [point for point in mounts if resolved.is_relative_to(point)]
    kind = mounts[max(points, key=len)] if points else ""
    if kind in ("tmpfs", "ramfs"):
        return [warn(f"{folder} is in memory ({kind}): a restart of the machine or container empties it", volume)]
    if kind == "overlay":
        return [warn(f"{folder} is in the container's own layer: it goes with the container", volume)]
    if kind in _REMOTE:
        return [
            fail(
                f"{folder} is on a network file system ({kind}), whose locks SQLite cannot rely on: a payment may be counted twice",
                "set OTEL_REVENUE_STORE to a local disk",
            )
        ]
    return []


def _mounts() -> dict[str, str]:
    """Return the type of each mounted file system by its mount point; nothing where the system does not say."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    parts = [line.split(" ") for line in lines]
    return {p[1].replace("\\040", " "): p[2] for p in parts if len(p) > 2}


def _room(folder: Path, around: Around) -> list[Finding]:
    free = shutil.disk_usage(folder).free
    most = around.settings.store_max_bytes + around.settings.spool_max_bytes
    if free < _NONE_LEFT:
        return [
            fail(
                f"{size(free)} are free there: soon nothing can be stored",
                "make room while the application runs: what the disk does not take is in its memory alone",
            )
        ]
    if free < _LOW:
        return [
            warn(
                f"{size(free)} are free there; ledger and spool may grow to {size(most)} together",
                "make room, or lower OTEL_REVENUE_STORE_MAX_BYTES and OTEL_REVENUE_SPOOL_MAX_BYTES",
            )
        ]
    return [ok(f"{size(free)} are free there")]


def ledger(around: Around) -> list[Finding]:
    """Whether the ledger can be read; what it knows, and what waits in its outbox."""
    found = _damaged(around)
    if around.place.ledger is None and around.place.database is None:
        return found
    try:
        if around.place.ledger is not None and not around.place.ledger.is_file():
            return [*found, warn(*_store.missing(around.place, around.environ))]
        store = _store.open_existing(around.place, around.environ)
    except PermissionError:
        return [*found, skip("the ledger: see above")]
    except RevenueError as error:
        return [*found, fail(str(error), "see above, and docs/operate.md")]
    try:
        return found + _about(store, around) + _news(store, around) + _outbox(store, around)
    except RevenueError as error:
        return [*found, fail(str(error), "see docs/operate.md")]
    finally:
        store.close()


def _damaged(around: Around) -> list[Finding]:
    folder = around.place.folder
    try:
        moved = sorted(folder.glob(f"{_store.LEDGER}.corrupt-*")) if folder is not None else []
    except OSError:
        return []
    databases = [path.name for path in moved if not path.name.endswith(("-wal", "-shm"))]
    if not databases:
        return []
    return [
        fail(
            f"a damaged ledger was moved aside: {', '.join(databases)}; payments that waited in it are in that file alone",
            "read it with `sqlite3 FILE .recover`, compare with Stripe's dashboard, then move it out of the store",
        )
    ]


def _about(store: _store.Existing, around: Around) -> list[Finding]:
    stats = store.stats()
    found = [
        ok(
            f"the ledger knows {count(stats['payments_known'], 'payment')}, has recorded {stats['payments_recorded']:,}, and takes "
            f"{size(stats['bytes'])}"
        )
    ]
    if stats["bytes"] > 0.9 * around.settings.store_max_bytes:
        found.append(
            warn(
                f"the ledger is near its limit of {size(around.settings.store_max_bytes)}: its oldest payments leave early",
                "raise OTEL_REVENUE_STORE_MAX_BYTES",
            )
        )
    if stats["payments_on_hold"]:
        due_ns = store.next_due_ns()
        late = around.now_ns - due_ns > OLD_NS
        text = f"{count(stats['payments_on_hold'], 'payment')} on hold"
        found.append(
            warn(f"{text}, one of them overdue since {age(around.now_ns - due_ns)}", "is the application running?")
            if late
            else ok(f"{text} for the fact that settles them")
        )
    mode = 0 if around.place.ledger is None else stat.S_IMODE(around.place.ledger.stat().st_mode)
    if mode & 0o077:
        found.append(
            warn(
                f"others may read the ledger (mode {mode:o}): ids and amounts are in it", f"chmod 600 {store.location}"
            )
        )
    return found


def _news(store: _store.Existing, around: Around) -> list[Finding]:
    last_ns = store.last_news_ns()
    if not last_ns:
        return [
            warn(
                "no news of a payment has reached the ledger yet",
                "in Stripe's dashboard, does a webhook endpoint of this application receive checkout.session.completed, "
                "payment_intent.succeeded, invoice.paid and invoice_payment.paid, and is it answered with 200? On a developer's "
                "machine: stripe listen --forward-to 127.0.0.1:8000/YOUR/WEBHOOK/PATH",
            )
        ]
    objects = store.objects()
    named = ", ".join(f"{_NAMES[kind]} {objects[kind]}" for kind in _NAMES if kind in objects)
    return [
        ok(
            f"last news of a payment {age(around.now_ns - last_ns)} ago; the last {_store.NEWEST} payments name: {named or 'nothing'}"
        )
    ]


def _outbox(store: _store.Existing, around: Around) -> list[Finding]:
    destination = used_destination(store, around.settings.delivery, around.environ)
    pending = store.pending(destination)
    worth = amounts(pending.unconfirmed)
    found = []
    if not pending.waiting:
        found.append(ok("no event of the outbox waits"))
    else:
        waited = around.now_ns - pending.oldest_ns
        text = f"{count(pending.waiting, 'event')} of the outbox wait, the oldest since {age(waited)}"
        text += f" (not yet acknowledged: {worth})" if worth else ""
        remedy = "see the endpoint below; is the application running? Nothing is lost: it is sent when both are there"
        found.append(warn(text, remedy) if waited > OLD_NS else ok(text))
    if pending.aside:
        rows = store.rows(destination, state="aside", limit=500)
        reasons = ", ".join(sorted({row.reason for row in rows})[:5])
        found.append(
            fail(
                f"{count(pending.aside, 'event')} set aside: the far end refuses them for good ({reasons})",
                "otel-revenue outbox list --state aside; mend the far end, then: otel-revenue outbox retry --all",
            )
        )
    notes = store.set_asides(1)
    if notes:
        note = notes[0]
        found.append(
            warn(
                f"news with money in it could not be read, last {age(around.now_ns - note.at_ns)} ago: {note.source} {note.kind}: "
                f"{note.reason}",
                "otel-revenue outbox list shows the ids; look them up in Stripe's dashboard",
            )
        )
    return found


CHECKS: Final[tuple[Check, ...]] = (place, ledger)
