# SPDX-License-Identifier: Apache-2.0
"""
One transaction of the ledger on PostgreSQL.

The ledger's lock is held from its beginning to its end: whoever joins facts sees all that others have joined, and nobody
joins anything meanwhile. Each message to the server is a round trip, so that a payment is read once, and all that is changed
goes out together with the commit.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from .codec import group_from_text, group_to_text
from .model import TRUNCATED_AT, merge_labels, stands_at, stands_for_another
from .postgres_layout import SQL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .model import Alias, Group, Labels, Saying
    from .postgres_session import Session, Values
    from .store import NewRow

_STATEMENT_S: Final = 0.005
"""What a further statement of many may take."""


class PostgresTransaction:
    """
    See `Transaction`.

    Args:
        session: in a transaction, with the ledger's lock.
        number: for the first payment that is new.
        busy_s: bound on each message.
    """

    def __init__(self, session: Session, number: int, busy_s: float) -> None:
        self._session = session
        self._busy_s = busy_s
        self._numbers = [number]
        self._groups: dict[int, Group | None] = {}
        self._written: dict[int, Group] = {}
        self._changed: dict[int, Group] = {}
        self._statements: list[tuple[str, Values]] = []

    # -- payments -----------------------------------------------------------------------------------------------------

    def groups_of(self, aliases: Iterable[Alias], truncated: Iterable[Alias]) -> list[Group]:
        """Return every group that holds one of the ids. See `Transaction.groups_of`."""
        self.flush()
        full, cut = list(aliases), list(truncated)
        found: dict[int, str] = {}
        for is_cut, alias, number, doc in self._found_by(full) if full else ():
            # The cut id may already have found the full id that it stands for: then it is not ours.
            if is_cut and stands_for_another(self._read(number, doc), alias, alias.id[:TRUNCATED_AT]):
                continue
            found[number] = doc
        begun: dict[int, dict[int, str]] = {}
        for begins, asked, number, doc in self._rows("groups_of_truncated", _columns(cut)) if cut else ():
            if begins:
                begun.setdefault(asked, {})[number] = doc
            else:
                found[number] = doc
        for candidates in begun.values():
            if len(candidates) == 1:
                found.update(candidates)
        return [self._read(number, doc) for number, doc in sorted(found.items())]

    def group(self, group_id: int) -> Group | None:
        """Return one group by the store's number."""
        if group_id in self._groups:
            return self._groups[group_id]
        found = self._rows("group_by_number", (group_id,))
        return self._read(*found[0]) if found else None

    def soft_candidates(self, key: str, since_ns: int, until_ns: int) -> list[Group]:
        """Return groups with this soft key, without a twin, near in time."""
        self.flush()
        return [self._read(*row) for row in self._rows("soft_candidates", (as_stored(key), since_ns, until_ns))]

    def due_groups(self, now_ns: int, limit: int) -> list[Group]:
        """Return groups on hold whose time has come."""
        self.flush()
        return [self._read(*row) for row in self._rows("due_groups", (now_ns, limit))]

    def put(self, group: Group) -> Group:
        """Insert (id 0) or replace a group with its aliases; returns it with its number."""
        if not group.id:
            group = group.changed(id=self._new_number())
        self._groups[group.id] = group
        self._changed.pop(group.id, None)  # an id belongs to who named it last: the order of writing is that of putting
        self._changed[group.id] = group
        return group

    def drop(self, group_ids: Iterable[int]) -> None:
        """Remove groups that were merged into another one."""
        self.remove(group_ids)

    def remove(self, numbers: Iterable[int]) -> int:
        """Remove payments; returns how many there were."""
        gone = sorted(set(numbers))
        if not gone:
            return 0
        for number in gone:
            self._groups[number] = None
            self._changed.pop(number, None)
            self._written.pop(number, None)
        return int(self._rows("drop_groups", {"ids": gone})[0][0])

    def flush(self) -> None:
        """Send what was put since the last time."""
        self._write()
        self._send()

    def commit(self) -> None:
        """Send what is left, and commit: one message."""
        self._write()
        self._statements.append(("COMMIT", None))
        self._send()

    # -- outbox and notes ---------------------------------------------------------------------------------------------

    def add_rows(self, rows: Sequence[NewRow]) -> None:
        """Append events to the outbox; one that was recorded before is ignored."""
        if rows:
            self._statements.append((SQL["add_rows"], row_columns(rows)))

    def set_aside(self, at_ns: int, source: str, kind: str, reason: str, ids: tuple[str, ...]) -> None:
        """Keep a note about something from Stripe that had money in it and could not be read."""
        self._statements.append((SQL["add_unread"], (at_ns, source, kind, reason, json.dumps(ids))))
        self._statements.append((SQL["trim_unread"], None))

    def remember(self, sayings: Sequence[Saying], now_ns: int) -> None:
        """Add what was said of orders to what was said of them before."""
        known = self._recalled({(s.kind, s.key) for s in sayings})
        for saying in sayings:
            merge_labels(known.setdefault((saying.kind, saying.key), {}), saying.labels)
        rows = [
            (kind, as_stored(key), json.dumps(labels), stands_at(labels, now_ns))
            for (kind, key), labels in sorted(known.items())
        ]
        if rows:
            self._statements.append((SQL["remember"], [list(column) for column in zip(*rows, strict=True)]))

    def recall(self, kind: str, key: str) -> Labels:
        """Return all that was said of one order, {} when nothing was."""
        return self._recalled({(kind, key)}).get((kind, key), {})

    def _recalled(self, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Labels]:
        keys = {(kind, as_stored(key)): (kind, key) for kind, key in wanted}
        columns = [list(column) for column in zip(*keys, strict=True)]
        return {keys[row[0], row[1]]: json.loads(row[2]) for row in self._rows("recall", columns)} if keys else {}

    # -- inside -------------------------------------------------------------------------------------------------------

    def _found_by(self, aliases: Sequence[Alias]) -> Iterator[tuple[int, Alias, int, str]]:
        """Yield the groups that hold one of the full ids (0), or the cut form of a long one (1), with that id."""
        asked: dict[tuple[str, str, str, int], list[Alias]] = {}
        for alias in aliases:
            asked.setdefault((alias.kind, as_stored(alias.account), as_stored(alias.id), 0), []).append(alias)
            if len(alias.id) >= TRUNCATED_AT:
                cut = as_stored(alias.id[:TRUNCATED_AT])
                asked.setdefault((alias.kind, as_stored(alias.account), cut, 1), []).append(alias)
        kinds, accounts, ids, _ = ([*dict.fromkeys(column)] for column in zip(*asked, strict=True))
        for kind, account, found, truncated, number, doc in self._rows("groups_of", (kinds, accounts, ids)):
            for alias in asked.get((kind, account, found, truncated), ()):
                yield truncated, alias, number, doc

    def _rows(self, name: str, values: Values) -> list[Any]:
        return self._session.rows(SQL[name], values, within_s=self._busy_s)

    def _send(self) -> None:
        statements, self._statements = self._statements, []
        if statements:
            self._session.run(statements, within_s=self._busy_s + _STATEMENT_S * len(statements))

    def _read(self, number: int, doc: str) -> Group:
        known = self._groups.get(number)
        if known is None:
            known = self._groups[number] = self._written[number] = group_from_text(number, doc)
        return known

    def _new_number(self) -> int:
        if not self._numbers:
            self._numbers = [row[0] for row in self._rows("numbers", (20,))]
        return self._numbers.pop(0)

    def _write(self) -> None:
        if not self._changed:
            return
        now_ns = time.time_ns()
        payments = []
        owners: dict[tuple[str, str, str, int], int] = {}
        for number, group in self._changed.items():
            soft_key, soft_ns = (as_stored(group.soft.key), group.soft.at_ns) if group.soft else (None, 0)
            payments.append(
                (
                    number,
                    group_to_text(group),
                    group.recorded_ns,
                    group.next_due_ns,
                    soft_key,
                    soft_ns,
                    group.twin,
                    now_ns,
                )
            )
            before = self._written.get(number)
            for truncated, ids, known in (
                (0, group.aliases, before.aliases if before else ()),
                (1, group.truncated, before.truncated if before else ()),
            ):
                for alias in ids:
                    if alias not in known:
                        owners[(alias.kind, as_stored(alias.account), as_stored(alias.id), truncated)] = number
            self._written[number] = group
        self._changed.clear()
        self._statements.append((SQL["put_groups"], [list(column) for column in zip(*payments, strict=True)]))
        if owners:
            # In one order everywhere, though the ledger's lock lets nobody else write them.
            rows = sorted((*key, number) for key, number in owners.items())
            self._statements.append((SQL["put_aliases"], [list(column) for column in zip(*rows, strict=True)]))


def row_columns(rows: Sequence[NewRow]) -> list[list[Any]]:
    """Return rows of the outbox as the columns that `add_rows` takes."""
    values = [(r.event_id, r.event_name, r.record, r.recorded_ns, r.amount_minor, r.currency) for r in rows]
    return [list(column) for column in zip(*values, strict=True)]


def _columns(aliases: Sequence[Alias]) -> dict[str, list[str]]:
    return {
        "kinds": [a.kind for a in aliases],
        "accounts": [as_stored(a.account) for a in aliases],
        "ids": [as_stored(a.id) for a in aliases],
    }


def as_stored(text: str) -> str:
    """
    Return *text* with everything but printable ASCII escaped: the database takes no NUL, and not every encoding takes all.

    Ids and keys are of printable ASCII, and stay as they are. What begins alike begins alike afterwards.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return json.dumps(text)[1:-1].replace('\\"', '"').replace("\x7f", "\\u007f")
