# SPDX-License-Identifier: Apache-2.0
"""What requests say of orders on its way into the ledger: once, in any order, through crashes and stores that fail."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.config import Settings
from otel_revenue.delivery.spool import Spool
from otel_revenue.errors import StoreBusy
from otel_revenue.ledger.keys import BROWSER
from otel_revenue.ledger.model import merge_labels
from otel_revenue.ledger.sqlite import SqliteStore
from otel_revenue.runtime.orders import READER, Orders, labels_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_revenue.ledger.model import Labels

SECOND = 10**9
SOURCES = Settings().surface_from
NOW = 1_790_000_000 * SECOND


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    opened = SqliteStore(None)
    yield opened
    opened.close()


def spool(folder: Path) -> Spool:
    return Spool(folder / "orders", token="t", readers=(READER,))


def keep(orders: Orders, at_s: int = 0, **values: Any) -> bool:
    return orders.keep(values, labels_of(values, SOURCES, NOW + at_s * SECOND))


def known(store: SqliteStore, key: str, kind: str = "order_id") -> dict[str, Any]:
    """Return the best candidates of one order."""
    with store.transaction() as tx:
        labels = tx.recall(kind, key)
    return {name: min(found.values(), key=lambda c: c[0])[1] for name, found in labels.items()}


@pytest.mark.parametrize("durable", [True, False])
def test_what_is_said_twice_is_kept_once(durable: bool, store: SqliteStore, tmp_path: Path) -> None:
    """The same word of one order is written once; a new one, of the order or of the journey that it is tied to, again."""
    orders = Orders(spool(tmp_path) if durable else None)
    said = [
        keep(orders, order_id="o-1", tier="pro"),
        keep(orders, order_id="o-1", tier="pro"),
        keep(orders, order_id="o-2", tier="pro"),
        keep(orders, order_id="o-1", tier="pro", journey_id="j-1"),
        keep(orders, at_s=1, order_id="o-1", tier="basic"),
        keep(orders, order_id="o-3"),
        keep(orders, tier="pro"),
    ]

    assert [True, False, True, True, True, False, False] == said
    assert orders.pass_on(store, NOW)
    assert {"tier": "basic", "journey_id": "j-1"} == known(store, "o-1")
    assert {"tier": "pro"} == known(store, "j-1", "journey_id")


def test_a_store_that_fails_is_tried_again(store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is busy nothing is lost, on disk or in memory."""
    every = [Orders(spool(tmp_path)), Orders(None)]
    for number, orders in enumerate(every):
        keep(orders, order_id=f"o-{number}", tier="pro")

    def busy() -> None:
        raise StoreBusy

    with monkeypatch.context() as patch:
        patch.setattr(store, "transaction", busy)
        failed = [orders.pass_on(store, NOW) for orders in every]
    passed = [orders.pass_on(store, NOW) for orders in every]

    assert ([False, False], [True, True]) == (failed, passed)
    assert [{"tier": "pro"}] * 2 == [known(store, f"o-{number}") for number in range(2)]


def test_what_a_process_left_is_passed_on_by_the_next(store: SqliteStore, tmp_path: Path) -> None:
    """What was said before a process ended is on disk, a frame that makes no sense among it."""
    first = spool(tmp_path)
    first.append(b"no json")
    first.append(b'{"of": "another kind"}')
    keep(Orders(first), order_id="o-1", tier="pro")
    first.close()

    assert Orders(spool(tmp_path)).pass_on(store, NOW)
    assert {"tier": "pro"} == known(store, "o-1")


def test_the_first_of_two_surfaces_in_one_second(store: SqliteStore) -> None:
    """Two clicks of one buyer lie in one second: the surface of the first one is the order's all the same."""
    orders = Orders(None)
    for name, at_ms in (("/checkout", 900), ("/designs", 100)):
        said = {"order_id": "o-1", "surface": name, "surface_source": "route"}
        orders.keep(said, labels_of(said, SOURCES, NOW + at_ms * 10**6))
    orders.pass_on(store, NOW)

    assert {"surface": "/designs"} == known(store, "o-1")


SAYINGS = [
    labels_of({"tier": "a", "surface": "r", "surface_source": "route"}, SOURCES, NOW),
    labels_of({"tier": "b", "surface": "u2", "surface_source": "utm"}, SOURCES, NOW + 2 * SECOND),
    labels_of({"tier": "c", "surface": "u1", "surface_source": "utm"}, SOURCES, NOW + SECOND),
    labels_of(
        {"journey_id": "j-2", "surface": "b", "surface_source": "browser"}, SOURCES, NOW + 4 * SECOND, told_by=BROWSER
    ),
    labels_of({"journey_id": "j-1"}, SOURCES, NOW + 3 * SECOND, told_by=BROWSER),
]


def _best(labels: Labels, name: str) -> tuple[str, Any]:
    source = min(labels[name], key=lambda s: labels[name][s][0])
    return source, labels[name][source][1]


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(SAYINGS)))))
def test_the_order_of_sayings_changes_nothing(order: tuple[int, ...]) -> None:
    """The best source of a surface wins and its first word, the latest touch and tier, and of browsers' journeys the first."""
    labels: Labels = {}
    for index in order:
        merge_labels(labels, SAYINGS[index])

    assert [("browser", "b"), ("touch", "b"), ("said", "b"), ("browser", "j-1")] == [
        _best(labels, name) for name in ("surface", "surface_last", "tier", "journey_id")
    ]
    assert {"route": "r", "utm": "u1", "browser": "b"} == {s: c[1] for s, c in labels["surface"].items()}


@given(st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(0, 99)), min_size=1, max_size=6))
def test_a_surface_is_the_first_of_the_best_source(touches: list[tuple[str, int]]) -> None:
    """Whatever was touched when, and however it is told, the surface is the earliest of the best source there is."""
    labels: Labels = {}
    for source, at_s in touches:
        said = labels_of({"surface": f"{source}-{at_s:02}", "surface_source": source}, SOURCES, NOW + at_s * SECOND)
        merge_labels(labels, said)
    source, at_s = min(touches, key=lambda touch: (SOURCES.index(touch[0]), touch[1]))

    assert (source, f"{source}-{at_s:02}") == _best(labels, "surface")
