"""The unmodified shop on several hosts that share one ledger in PostgreSQL."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.postgres import running
from support.receiver import Receiver, wait_for
from support.running_shop import RunningShop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_revenue.testing import FakeStripe
    from support.postgres import Postgres


def host(fake: FakeStripe, receiver: Receiver, folder: Path, url: str, **more: str) -> RunningShop:
    """A shop with a home of its own, as on another machine: nothing is shared but the database."""
    folder.mkdir()
    environ = {
        "OTEL_REVENUE_STORE": url,
        "XDG_STATE_HOME": str(folder / "state"),
        "OTEL_REVENUE_STORE_BUSY": "1",
        **more,
    }
    return RunningShop(fake, folder, receiver.url, environ=environ)


@pytest.fixture
def hosts(fake: FakeStripe, receiver: Receiver, tmp_path: Path, postgres: Postgres) -> Iterator[list[RunningShop]]:
    url = postgres.schema()
    with host(fake, receiver, tmp_path / "a", url) as one, host(fake, receiver, tmp_path / "b", url) as two:
        yield [one, two]


def paid(receiver: Receiver) -> list[str]:
    return sorted(str(log.attributes["stripe.payment_intent.id"]) for log in receiver.named("order.paid"))


def test_each_payment_once_whichever_host_it_reaches(
    fake: FakeStripe, receiver: Receiver, hosts: list[RunningShop]
) -> None:
    """Every webhook reaches both hosts, several times, shuffled and at once: one event per payment, before any dedupe."""
    endpoint = fake.collect()
    for n in range(12):
        fake.pay(hosts[n % 2].order()["session_id"])
    bodies = [(d.body, d.signature) for d in fake.deliveries if d.endpoint == endpoint.url] * 2
    answers: list[int] = []

    def deliver(shop: RunningShop, seed: int) -> None:
        mine = bodies[:]
        random.Random(seed).shuffle(mine)
        answers.extend(shop.webhook(*delivery) for delivery in mine)

    threads = [threading.Thread(target=deliver, args=(hosts[n % 2], n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    books = sorted(b.id for b in fake.books())
    complete = wait_for(lambda: len(set(paid(receiver))) >= len(books))
    for shop in hosts:
        shop.stop()

    assert ({200}, True) == (set(answers), complete)
    assert books == paid(receiver)
    assert 2 == len({log.resource["service.instance.id"] for log in receiver.named("checkout.session_created")})


def test_a_database_that_is_killed_in_the_middle(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """The server is killed -9 and comes back while webhooks arrive: all are answered with 200, and each payment leaves once."""
    with (
        running() as server,
        host(fake, receiver, tmp_path / "a", server.schema(), OTEL_REVENUE_STORE_BUSY="0.25") as shop,
    ):
        endpoint = fake.collect()
        for _ in range(9):
            fake.pay(shop.order()["session_id"])
        bodies = [(d.body, d.signature) for d in fake.deliveries if d.endpoint == endpoint.url]
        third = len(bodies) // 3
        receiver.status = 503  # what was taken, and could not be noted as taken, would come twice
        answers = [shop.webhook(*delivery) for delivery in bodies[:third]]
        server.kill()
        answers += [shop.webhook(*delivery) for delivery in bodies[third : 2 * third]]
        kept = [path for path in (tmp_path / "a" / "state").rglob("facts/*.seg") if path.stat().st_size]
        server.start()
        receiver.status = 200
        answers += [shop.webhook(*delivery) for delivery in bodies[2 * third :]]
        books = sorted(b.id for b in fake.books())
        complete = wait_for(lambda: len(set(paid(receiver))) >= len(books))
        shop.stop()
        log = shop.log

    assert ({200}, True, True) == (set(answers), complete, bool(kept))
    assert books == sorted(set(paid(receiver)))
    assert Counter({1: len(books)}) == Counter(Counter(paid(receiver)).values())
    assert ("cannot be used now" in log, "answers again" in log) == (True, True)


def test_a_database_that_is_away_at_the_start(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """The shop starts and sells without its ledger; what is paid is joined by the next process that reaches it, once."""
    with running() as server:
        url = server.schema()
        server.kill()
        with host(fake, receiver, tmp_path / "a", url) as shop:
            endpoint = fake.collect()
            for _ in range(3):
                fake.pay(shop.order()["session_id"])
            answers = [shop.webhook(d.body, d.signature) for d in fake.deliveries if d.endpoint == endpoint.url]
            shop.kill()
            before, log = paid(receiver), shop.log
            server.start()
            shop.start()
            complete = wait_for(lambda: len(set(paid(receiver))) >= 3)
            shop.stop()

    assert ({200}, [], True) == (set(answers), before, complete)
    assert sorted(b.id for b in fake.books()) == paid(receiver)
    assert (1, 0) == (log.count("nothing listens there"), log.count("in MEMORY"))


def test_neither_database_nor_disk(fake: FakeStripe, receiver: Receiver, tmp_path: Path) -> None:
    """Where this host's folder cannot be written either, facts wait in memory and are counted; they are joined when the database answers."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with running() as server:
        url = server.schema()
        server.kill()
        with host(fake, receiver, tmp_path / "a", url, OTEL_REVENUE_SPOOL=str(blocked / "spool")) as shop:
            endpoint = fake.collect()
            for _ in range(2):
                fake.pay(shop.order()["session_id"])
            for d in fake.deliveries:
                if d.endpoint == endpoint.url:
                    shop.webhook(d.body, d.signature)
            counted = wait_for(lambda: receiver.metrics.get("otel_revenue.facts.unprotected", [({}, 0)])[0][1] > 0)
            server.start()
            complete = wait_for(lambda: len(set(paid(receiver))) >= 2)
            protected = wait_for(lambda: receiver.metrics["otel_revenue.facts.unprotected"] == [({}, 0)])
            shop.stop()

    assert (True, True, True) == (counted, complete, protected)
    assert sorted(b.id for b in fake.books()) == paid(receiver)
