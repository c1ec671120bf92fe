# SPDX-License-Identifier: Apache-2.0
"""The application's store in a database, as seen from the command line: nothing is made or migrated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import StoreError
from otel_revenue.ledger.postgres import PostgresStore
from otel_revenue.ledger.postgres_database import READ_S
from otel_revenue.ledger.postgres_layout import SQL
from otel_revenue.ledger.postgres_transaction import as_stored

from ._store import NEWEST, in_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_revenue._store_url import StoreUrl
    from otel_revenue.ledger.forget import Held
    from otel_revenue.ledger.store import OutboxRow

_CONNECT_S: Final = 10.0
_SEARCH_S: Final = 60.0


class ExistingPostgres(PostgresStore):
    """
    A ledger that the application made, for people who look at it.

    Args:
        url: of the database.
        busy_s: seconds to wait for the application.
    """

    def __init__(self, url: StoreUrl, *, busy_s: float = 5.0) -> None:
        super().__init__(url.secret, location=url.location, busy_s=busy_s, make=False, quiet=True)

    def check(self) -> None:
        """
        Read from it once; a person waits longer for a connection than a request does.

        Raises:
            StoreError: it cannot be read; the text says why, and what to do.
        """
        try:
            with self._mine().outbox.held(time.monotonic() + _CONNECT_S) as session:
                session.rows(SQL["next_due"], within_s=_CONNECT_S)
        except StoreError as error:
            raise StoreError(f"{self.location}: {error}") from None

    def destinations(self) -> list[str]:
        """Return the names of the far ends that have noted something about a row."""
        return [row[0] for row in self._read("destinations")]

    def find(self, destination: str, word: str) -> list[OutboxRow]:
        """Return the rows that *destination* has not done and that *word* names: a number, or an event_id."""
        return self.rows(destination, word=word)

    def seqs(self, destination: str, state: str) -> list[int]:
        """Return the numbers of all rows of one state."""
        return [row[0] for row in self._read("open_seqs", (destination, state))]

    def retry(self, destination: str, seqs: Sequence[int]) -> int:
        """See `Store.retry`; in short transactions."""
        retry = super().retry
        return in_steps(seqs, lambda part: retry(destination, part))

    def forget_rows(self, seqs: Sequence[int]) -> int:
        """See `Store.forget_rows`; in short transactions."""
        return in_steps(seqs, super().forget_rows)

    def last_news_ns(self) -> int:
        """Return when news of a payment last reached the ledger; 0 when none has."""
        return int(self._read("last_news")[0][0] or 0)

    def objects(self) -> dict[str, int]:
        """Return, of the `NEWEST` payments with the newest news, how many name an id of each kind."""
        return dict(self._read("objects", (NEWEST,)))

    def naming(self, statement: str, *words: str | bytes) -> Sequence[Sequence[Any]]:
        """See `forget.Searched`."""
        if statement != "said_naming":
            return self._read(statement, words, within_s=_SEARCH_S)
        key, quoted = map(str, words)
        stored = as_stored(key)
        found = self._read(statement, (stored, quoted), within_s=_SEARCH_S)
        return [(kind, key if kept == stored else kept, doc) for kind, kept, doc in found]

    def forget(self, held: Held) -> None:
        """Remove what was found."""
        with self.transaction() as tx:
            tx.remove(held.payments)
        self.forget_rows(sorted(held.events))
        said = {"kinds": [kind for kind, _ in held.said], "keys": [as_stored(key) for _, key in held.said]}
        with self._changing_outbox() as session:
            session.run([(SQL["drop_said"], said), (SQL["drop_unread"], {"ids": list(held.notes)})], within_s=READ_S)
