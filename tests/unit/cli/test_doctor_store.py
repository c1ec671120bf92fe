# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of the store and of what waits in it, on surroundings that are stated."""

from __future__ import annotations

import sqlite3
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from otel_revenue.cli import (
    _checks_beside,
    _checks_store,
)
from otel_revenue.delivery.spool import Spool
from support.doctor import around, one, trouble
from support.waiting_store import open_store, paid, refuse, unread

if TYPE_CHECKING:
    from pathlib import Path


def test_a_store_in_order(tmp_path: Path) -> None:
    """A ledger with nothing that waits, and news in it, gives no complaint of its own."""
    store = open_store(tmp_path)
    raw = sqlite3.connect(tmp_path / "ledger.sqlite3")
    raw.execute(
        "INSERT INTO payment (doc, recorded_ns, due_ns, soft_key, soft_ns, twin, touched_ns) VALUES ('{}', 1, 0, NULL, 0, 0, ?)",
        (time.time_ns(),),
    )
    raw.execute("INSERT INTO alias VALUES ('pi', '', 'pi_1', 0, 1), ('cs', '', 'cs_1', 0, 1)")
    raw.commit()
    raw.close()
    surroundings = around({"OTEL_REVENUE_STORE": str(tmp_path)})
    findings = _checks_store.ledger(surroundings) + _checks_beside.folders(surroundings)
    store.close()

    assert [] == trouble(findings)
    assert any("name: Checkout Sessions 1, PaymentIntents 1" in f.what for f in findings)
    assert any("knows 1 payment, has recorded 1" in f.what for f in findings)


def test_what_waits_and_what_was_refused(tmp_path: Path) -> None:
    """Events that wait for long, with their money, a refused one, and unread news are three findings."""
    store = open_store(tmp_path, paid(1), paid(2))
    refuse(store, 2, "http 413")
    unread(store)
    found = trouble(_checks_store.ledger(around({"OTEL_REVENUE_STORE": str(tmp_path)})))
    store.close()

    assert ["WARN", "WARN", "FAIL", "WARN"] == [level for level, _ in found]
    assert "no news of a payment" in found[0][1]
    assert "1 event of the outbox wait, the oldest since 1d (not yet acknowledged: 99.98 EUR)" in found[1][1]
    assert "1 event set aside: the far end refuses them for good (http 413)" in found[2][1]
    assert "webhook invoice: amount_missing" in found[3][1]


def test_folders_beside_the_ledger(tmp_path: Path) -> None:
    """Old events of the spool, facts kept aside, and thin events that nobody fetches are said."""
    for name in ("spool", "facts", "thin"):
        spool = Spool(tmp_path / name, token="1-dead")
        spool.append(b"waits")
        spool.close()
    later = time.time_ns() + 3600 * 10**9
    environ = {"OTEL_REVENUE_STORE": str(tmp_path)}
    found = trouble(_checks_beside.folders(around(environ, now_ns=later)))
    asked = {**environ, "OTEL_REVENUE_STRIPE_LOOKUP": "true"}
    late, soon = (_checks_beside.folders(around(asked, now_ns=at)) for at in (later, time.time_ns()))

    assert "1 event of the spool wait" in found[0][1]
    assert "1 of them of dead processes, untouched since" in found[0][1]
    assert "1 fact kept aside, since the store was busy or broken, untouched since 1h" in found[1][1]
    assert "the objects of 1 thin event are to be fetched from Stripe, untouched since 1h" in found[2][1]
    assert (["WARN"], ["OK"]) == tuple([f.level for f in each if "thin event" in f.what] for each in (late, soon))


def test_a_damaged_ledger_that_was_moved(tmp_path: Path) -> None:
    """A ledger that was moved aside is a failure until somebody has looked into it."""
    (tmp_path / "ledger.sqlite3.corrupt-20261124T000000Z").write_bytes(b"x")
    (tmp_path / "ledger.sqlite3.corrupt-20261124T000000Z-wal").write_bytes(b"x")
    found = trouble(_checks_store.ledger(around({"OTEL_REVENUE_STORE": str(tmp_path)})))

    assert [("FAIL", 1), ("WARN", 0)] == [(level, text.count("corrupt-")) for level, text in found]


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    """A file where the folder should be is a failure; nothing is created by looking."""
    (tmp_path / "file").write_text("")
    level, text = one(_checks_store.place(around({"OTEL_REVENUE_STORE": str(tmp_path / "file" / "store")})))

    assert ("FAIL", True) == (level, f"{tmp_path / 'file'} is no folder" in text)


def test_a_store_in_memory() -> None:
    """Memory is a warning with the remedy."""
    level, text = one(_checks_store.place(around({"OTEL_REVENUE_STORE": ":memory:"})))

    assert ("WARN", True) == (level, "OTEL_REVENUE_STORE" in text)


@pytest.mark.parametrize(
    ("kind", "level", "said"),
    [
        ("tmpfs", "WARN", "is in memory"),
        ("overlay", "WARN", "the container's own layer"),
        ("nfs4", "FAIL", "network file system (nfs4)"),
        ("ext4", None, ""),
    ],
)
def test_the_medium(tmp_path: Path, kind, level, said) -> None:
    """What a file system cannot promise is said; the innermost mount counts."""
    found = trouble(_checks_store._medium(tmp_path, {"/": "ext4", str(tmp_path): kind, "/elsewhere": "nfs"}))

    assert [(level, True)] * (level is not None) == [(f[0], said in f[1]) for f in found]


def test_room(tmp_path: Path, monkeypatch) -> None:
    """A disk that is nearly full is a warning, one that is full a failure."""
    levels = []
    for free in (1024**2, 100 * 1024**2, 10 * 1024**3):
        monkeypatch.setattr(_checks_store.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        (finding,) = _checks_store._room(tmp_path, around())
        levels.append(finding.level.value)

    assert ["FAIL", "WARN", "OK"] == levels


def test_a_ledger_that_others_may_read(tmp_path: Path) -> None:
    """Ids and amounts are nobody else's business: a wide mode is said."""
    open_store(tmp_path).close()
    (tmp_path / "ledger.sqlite3").chmod(0o644)
    found = trouble(_checks_store.ledger(around({"OTEL_REVENUE_STORE": str(tmp_path)})))

    assert any("others may read the ledger (mode 644)" in text for _, text in found)
