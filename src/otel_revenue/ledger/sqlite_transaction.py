# SPDX-License-Identifier: Apache-2.0
"""
One transaction of the ledger on SQLite.

A webhook reads a payment several times and changes it in two or three steps. Each is read from the file once and written
once, before the commit; of its ids those are written that are new. What is asked of the file in between finds it written.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from .codec import group_from_text, group_to_text
from .model import TRUNCATED_AT, merge_labels, stands_at, stands_for_another
from .sqlite_errors import translated
from .sqlite_file import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from .model import Alias, Group, Labels, Saying
    from .store import NewRow


class SqliteTransaction:
    """See `Transaction`. `flush` writes what is still in memory; the store calls it before it commits."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self._groups: dict[int, Group | None] = {}
        self._written: dict[int, Group] = {}
        self._changed: dict[int, Group] = {}
        self._new: set[int] = set()
        self._last_number = 0

    # -- payments -----------------------------------------------------------------------------------------------------

    def groups_of(self, aliases: Iterable[Alias], truncated: Iterable[Alias]) -> list[Group]:
        """Return every group that holds one of the ids. See `Transaction.groups_of`."""
        self.flush()
        found: dict[int, str] = {}
        with translated():
            for alias in aliases:
                if len(alias.id) < TRUNCATED_AT:
                    found.update(self.raw.execute(SQL["group_by_alias"], alias))
                    continue
                cut = alias.id[:TRUNCATED_AT]
                rows = self.raw.execute(SQL["group_by_alias_or_its_cut"], (*alias, cut)).fetchall()
                # The cut id may already have found the full id that it stands for: then it is not ours.
                found.update(
                    (number, doc)
                    for number, doc, is_cut in rows
                    if not is_cut or not stands_for_another(self._read(number, doc), alias, cut)
                )
            for alias in truncated:
                found.update(self.raw.execute(SQL["group_by_truncated"], alias))
                query = (alias.kind, alias.account, alias.id, alias.id + "\U0010ffff")
                begun = self.raw.execute(SQL["full_ids_beginning"], query).fetchall()
                if len(begun) == 1:
                    found.update(begun)
        return [self._read(number, doc) for number, doc in sorted(found.items())]

    def group(self, group_id: int) -> Group | None:
        """Return one group by the store's number."""
        if group_id in self._groups:
            return self._groups[group_id]
        with translated():
            row = self.raw.execute(SQL["group_by_number"], (group_id,)).fetchone()
        return None if row is None else self._read(*row)

    def soft_candidates(self, key: str, since_ns: int, until_ns: int) -> list[Group]:
        """Return groups with this soft key, without a twin, near in time."""
        self.flush()
        with translated():
            return [self._read(*row) for row in self.raw.execute(SQL["soft_candidates"], (key, since_ns, until_ns))]

    def due_groups(self, now_ns: int, limit: int) -> list[Group]:
        """Return groups on hold whose time has come."""
        self.flush()
        with translated():
            return [self._read(*row) for row in self.raw.execute(SQL["due_groups"], (now_ns, limit))]

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
        with translated():
            for number in group_ids:
                self._remove(number)

    def forget(self, number: int, twin: int) -> int:
        """Remove a payment, and its twin, which is a part of it; returns how many that were."""
        return sum(self._remove(each) for each in {number, twin} - {0})

    def flush(self) -> None:
        """Write the payments that were put since the last time."""
        if not self._changed:
            return
        with translated():
            for number, group in self._changed.items():
                self._write(number, group)
        self._changed.clear()

    # -- outbox and notes ---------------------------------------------------------------------------------------------

    def add_rows(self, rows: Sequence[NewRow]) -> None:
        """Append events to the outbox; one that was recorded before is ignored."""
        with translated():
            for r in rows:
                values = (r.event_id, r.event_name, r.record, r.recorded_ns, r.amount_minor, r.currency)
                self.raw.execute(SQL["add_row"], values)

    def set_aside(self, at_ns: int, source: str, kind: str, reason: str, ids: tuple[str, ...]) -> None:
        """Keep a note about something from Stripe that had money in it and could not be read."""
        with translated():
            self.raw.execute(SQL["add_unread"], (at_ns, source, kind, reason, json.dumps(ids)))
            self.raw.execute(SQL["trim_unread"])

    def remember(self, sayings: Sequence[Saying], now_ns: int) -> None:
        """Add what was said of orders to what was said of them before."""
        for saying in sayings:
            labels = self.recall(saying.kind, saying.key)
            merge_labels(labels, saying.labels)
            with translated():
                row = (saying.kind, saying.key, json.dumps(labels), stands_at(labels, now_ns))
                self.raw.execute(SQL["remember"], row)

    def recall(self, kind: str, key: str) -> Labels:
        """Return all that was said of one order, {} when nothing was."""
        with translated():
            row = self.raw.execute(SQL["recall"], (kind, key)).fetchone()
        return json.loads(row[0]) if row else {}

    def remove_row(self, seq: int) -> int:
        """Remove a row and all that destinations noted about it; returns how many rows that were."""
        self.raw.execute(SQL["drop_deliveries"], (seq,))
        return self.raw.execute(SQL["drop_row"], (seq,)).rowcount

    # -- inside -------------------------------------------------------------------------------------------------------

    def _read(self, number: int, doc: str) -> Group:
        known = self._groups.get(number)
        if known is None:
            known = self._groups[number] = self._written[number] = group_from_text(number, doc)
        return known

    def _new_number(self) -> int:
        # The write lock is held: nobody else takes the next one.
        if not self._last_number:
            with translated():
                self._last_number = self.raw.execute(SQL["last_number"]).fetchone()[0]
        self._last_number += 1
        self._new.add(self._last_number)
        return self._last_number

    def _write(self, number: int, group: Group) -> None:
        soft_key, soft_ns = (group.soft.key, group.soft.at_ns) if group.soft else (None, 0)
        values = (
            group_to_text(group),
            group.recorded_ns,
            group.next_due_ns,
            soft_key,
            soft_ns,
            group.twin,
            time.time_ns(),
            number,
        )
        self.raw.execute(SQL["insert_group" if number in self._new else "update_group"], values)
        self._new.discard(number)
        before = self._written.get(number)
        for cut, ids, known in (
            (0, group.aliases, before.aliases if before else ()),
            (1, group.truncated, before.truncated if before else ()),
        ):
            for alias in ids:
                if alias not in known:
                    self.raw.execute(SQL["put_alias"], (*alias, cut, number))
        self._written[number] = group

    def _remove(self, number: int) -> int:
        self._groups[number] = None
        self._changed.pop(number, None)
        self._new.discard(number)
        self._written.pop(number, None)
        self.raw.execute(SQL["drop_aliases"], (number,))
        return self.raw.execute(SQL["drop_group"], (number,)).rowcount
