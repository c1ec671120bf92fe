# SPDX-License-Identifier: Apache-2.0
"""
`otel-revenue outbox`: what waits to be delivered, what was refused, what could not be read.

Works while the application runs. Prints only what has left the privacy stage already: attributes of encoded events, reasons,
allow-listed ids.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from otel_revenue import config
from otel_revenue.errors import ConfigError, StoreError
from otel_revenue.ledger.store import ASIDE, LATER

from . import _forget as forgetting
from . import _outbox_show as show
from ._store import find, open_existing
from ._words import amounts, count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_revenue.ledger.store import OutboxRow

    from ._store import Existing, Place

_HELD: Final = {
    "payments": "payments of the ledger, with their ids",
    "events": "events of the outbox",
    "notes": "notes of news that could not be read",
    "sayings": "rows of what requests said of the order or its journey",
    "spool/": "events without money in spool/",
    "orders/": "things said of the order in orders/",
    "facts/": "facts in facts/",
    "thin/": "thin events in thin/",
}
_STATES: Final = {"waiting": LATER, "aside": ASIDE, None: None}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; those that all actions share are taken before and after the action's name."""
    parser.set_defaults(action="list", state=None, limit=50, json=False, store=None, destination=None)
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument(
        "--store", metavar="WHERE", help="the store's folder; default: as the application would have it"
    )
    common.add_argument("--destination", metavar="NAME", help="the far end; default: the one that the application uses")
    common.add_argument("--json", action="store_true", help="for programs")
    for option in common._actions:  # noqa: SLF001 - argparse has no other way to take an option on both sides of a command
        parser._add_action(option)  # noqa: SLF001 - as above
    actions = parser.add_subparsers(dest="action", metavar="list|show|retry|drop|forget")
    listing = actions.add_parser(
        "list",
        parents=[common],
        argument_default=argparse.SUPPRESS,
        help="events that are not delivered, and news that could not be read (default)",
    )
    listing.add_argument("--state", choices=("waiting", "aside"), help="only these events")
    listing.add_argument("--limit", type=_positive, metavar="N", help="at most this many of each; default: 50")
    one = actions.add_parser("show", parents=[common], help="all attributes of events")
    one.add_argument("events", nargs="+", metavar="EVENT", help="number or event_id")
    retry = actions.add_parser("retry", parents=[common], help="send events again that were set aside")
    retry.add_argument("events", nargs="*", metavar="EVENT", help="number or event_id")
    retry.add_argument("--all", action="store_true", help="all that were set aside")
    drop = actions.add_parser("drop", parents=[common], help="remove events for good, undelivered")
    drop.add_argument("events", nargs="+", metavar="EVENT", help="number or event_id")
    drop.add_argument("--yes", action="store_true", help="do it; without this, only say what would go")
    forget = actions.add_parser("forget", parents=[common], help="remove all that is held about orders")
    forget.add_argument(
        "--order",
        required=True,
        action="append",
        metavar="ID",
        help="the shop's order id; - reads ids from stdin, one a line",
    )
    forget.add_argument("--yes", action="store_true", help="do it; without this, only say what would go")


def run(arguments: argparse.Namespace) -> int:
    """
    Do one of list, show, retry, drop, forget.

    Exit code 1: `drop` or `forget` was not told `--yes`, or some events were not there any more.
    """
    settings, problems = config.load(os.environ)
    for problem in problems:
        print(f"otel-revenue outbox: {problem}", file=sys.stderr)
    place = find(os.environ, arguments.store, settings=settings)
    action = arguments.action or "list"
    store = open_existing(place, os.environ, write=action in ("retry", "drop", "forget"))
    try:
        destination = arguments.destination or used_destination(store, settings.delivery, os.environ)
        if action == "forget":
            return _forget(store, place, arguments)
        if action == "list":
            return _list(store, place, destination, arguments)
        return {"show": _show, "retry": _retry, "drop": _drop}[action](store, destination, arguments)
    finally:
        store.close()


def used_destination(store: Existing, delivery: str, environ: Mapping[str, str]) -> str:
    """
    Return the far end whose progress the store holds; where it holds none or several, the one that the settings mean.

    Args:
        store: the application's.
        delivery: the setting of that name.
        environ: variables of the process.
    """
    noted = store.destinations()
    if len(noted) == 1:
        return noted[0]
    exporters = [name.strip() for name in environ.get("OTEL_LOGS_EXPORTER", "").split(",") if name.strip()]
    elsewhere = bool(exporters) and not any(name.startswith("otlp") for name in exporters)
    return "sdk" if delivery == "sdk" or (delivery == "auto" and elsewhere) else "otlp"


def _list(store: Existing, place: Place, destination: str, arguments: argparse.Namespace) -> int:
    seen = show.look(
        store, place, destination, state=_STATES[arguments.state], limit=arguments.limit, now_ns=time.time_ns()
    )
    if arguments.json:
        print(json.dumps(show.as_json(seen), indent=2))
    else:
        print("\n".join(show.lines(seen)))
    return 0


def _show(store: Existing, destination: str, arguments: argparse.Namespace) -> int:
    rows = _named(store, destination, arguments.events)
    if arguments.json:
        print(json.dumps([show.row_json(row) for row in rows], indent=2))
        return 0
    now_ns = time.time_ns()
    for row in rows:
        print("\n".join([show.row_line(row, now_ns), *show.attribute_lines(row.record)]))
    return 0


def _retry(store: Existing, destination: str, arguments: argparse.Namespace) -> int:
    if arguments.all == bool(arguments.events):
        raise ConfigError("say which: numbers or event_ids from 'otel-revenue outbox list', or --all")
    if arguments.all:
        seqs = store.seqs(destination, ASIDE)
    else:
        rows = _named(store, destination, arguments.events)
        seqs = [row.seq for row in rows if row.state == ASIDE]
        for row in rows:
            if row.state != ASIDE:
                print(f"{row.seq} is not set aside: it waits already, and is sent by itself.", file=sys.stderr)
    done = store.retry(destination, seqs)
    if arguments.json:
        print(json.dumps({"retried": done}))
    elif done:
        print(
            f"{count(done, 'event')} due again. The running application sends within seconds; else the next start does."
        )
    else:
        print("Nothing was set aside.")
    return 0 if done == len(seqs) else 1


def _drop(store: Existing, destination: str, arguments: argparse.Namespace) -> int:
    rows = _named(store, destination, arguments.events)
    unconfirmed: Counter[str] = Counter()
    for row in rows:
        unconfirmed[row.currency] += row.amount_minor
    worth = amounts(unconfirmed) or "no money in them"
    done = store.forget_rows([row.seq for row in rows]) if arguments.yes else 0
    if arguments.json:
        print(
            json.dumps(
                {"dropped": done, "named": len(rows), "minor_units": {c: m for c, m in unconfirmed.items() if c}}
            )
        )
    elif arguments.yes:
        print(
            f"Removed {count(done, 'event')} ({worth}). The ledger still knows the payments: they are never recorded again."
        )
    else:
        print(
            f"Would remove {count(len(rows), 'event')} for every destination ({worth}); they would never be delivered, and "
            "Stripe's own books would be the only place that has them. With --yes it is done."
        )
    return 0 if arguments.yes and done == len(rows) else 1


def _forget(store: Existing, place: Place, arguments: argparse.Namespace) -> int:
    orders = [
        word for named in arguments.order for word in (sys.stdin.read().splitlines() if named == "-" else [named])
    ]
    orders = [order for order in orders if order.strip()]
    if not orders:
        raise ConfigError("no order is named: --order ID, or one id a line on stdin with --order -")
    try:
        found = forgetting.find(store, place, orders)
        if arguments.yes:
            forgetting.remove(store, place, found)
    except OSError as error:
        raise StoreError(f"{place.folder} cannot be searched or changed: {error.strerror}") from None
    left = [
        *forgetting.LEFT,
        *(f"{path}, a damaged ledger that was moved away" for path in forgetting.left_over(place)),
    ]
    counts = found.counts()
    if arguments.json:
        print(
            json.dumps({"removed": arguments.yes, **counts, "unrecorded": found.held.unrecorded, "not_reached": left})
        )
        return 0 if arguments.yes else 1
    print(f"{'Removed' if arguments.yes else 'Would remove'}, of {count(len(orders), 'order')}:")
    print("\n".join(f"  {number:>6} {_HELD[name]}" for name, number in counts.items()))
    if found.held.unrecorded:
        print(f"Of the payments, {found.held.unrecorded} had no event yet: the money will be in none.")
    print("Not reached:", *(f"  - {line}" for line in left), sep="\n")
    if not arguments.yes:
        print("With --yes it is done.")
    return 0 if arguments.yes else 1


def _named(store: Existing, destination: str, words: list[str]) -> list[OutboxRow]:
    """Return the rows that the words name, each once; raises ConfigError, and does nothing, for a word that names none."""
    found = {word: store.find(destination, word) for word in words}
    unknown = [word[:60] for word, rows in found.items() if not rows]
    if unknown:
        raise ConfigError(
            f"no event waits for '{destination}' under {', '.join(unknown)}; 'otel-revenue outbox list' shows all"
        )
    return list({row.seq: row for rows in found.values() for row in rows}.values())


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 1000000, not {text[:20]!r}")
    return int(text)
