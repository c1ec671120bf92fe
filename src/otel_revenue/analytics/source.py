# SPDX-License-Identifier: Apache-2.0
"""Where answers come from: the database file when nobody writes to it, else the server that does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from otel_revenue.errors import StoreBusy, StoreError

from . import funnel, jsonable
from .figures import Report, Revenue
from .funnel_figures import FunnelReport
from .payments import totals
from .report import build
from .routes import FUNNEL, PAYMENTS, REPORT, TRACE, query_parameters
from .server import read_note
from .store import Store
from .trace import OrderTrace, order_trace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .orders import Query

_Value = TypeVar("_Value")

TIMEOUT_S: Final = 60.0


class Source(Protocol):
    """Answers about one database. All raise StoreError when it cannot be asked."""

    def report(self, query: Query) -> Report:
        """Return the report."""

    def funnel(self, query: Query) -> FunnelReport:
        """Return the funnel."""

    def trace(self, order_id: str | None = None) -> OrderTrace | None:
        """Return one order's traces; those of the order paid last when None."""

    def payments(self, *, live: bool) -> tuple[Revenue, ...]:
        """Return count and sum of all known payments per currency."""


class FileSource:
    """Opens the file for each answer, so that a server can be started in between."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def report(self, query: Query) -> Report:
        """Return the report."""
        with Store(self._path, read_only=True) as store:
            return build(store, query)

    def funnel(self, query: Query) -> FunnelReport:
        """Return the funnel."""
        with Store(self._path, read_only=True) as store:
            return funnel.build(store, query)

    def trace(self, order_id: str | None = None) -> OrderTrace | None:
        """Return one order's traces."""
        with Store(self._path, read_only=True) as store:
            return order_trace(store, order_id)

    def payments(self, *, live: bool) -> tuple[Revenue, ...]:
        """Return count and sum per currency."""
        with Store(self._path, read_only=True) as store:
            return totals(store, live=live)


class ServerSource:
    """Asks a running `otel-revenue dev`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def report(self, query: Query) -> Report:
        """Return the report."""
        return _understood(Report, self._get(REPORT, query_parameters(query)))

    def funnel(self, query: Query) -> FunnelReport:
        """Return the funnel."""
        return _understood(FunnelReport, self._get(FUNNEL, query_parameters(query)))

    def trace(self, order_id: str | None = None) -> OrderTrace | None:
        """Return one order's traces."""
        content = self._get(TRACE, {} if order_id is None else {"order_id": order_id})
        return None if content is None else _understood(OrderTrace, content)

    def payments(self, *, live: bool) -> tuple[Revenue, ...]:
        """Return count and sum per currency."""
        return tuple(_understood(Revenue, row) for row in self._get(PAYMENTS, {"live": str(int(live))}))

    def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        import requests

        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy has no business between this machine and itself
                answer = session.get(self._url + path, params=dict(parameters), timeout=TIMEOUT_S)
            if answer.status_code == 200:
                return answer.json()
        except (requests.RequestException, ValueError):
            raise StoreError(
                f"`otel-revenue dev` at {self._url} has the database open, but does not answer; restart it"
            ) from None
        raise StoreError(f"`otel-revenue dev` at {self._url} could not answer (HTTP {answer.status_code})")


def open_source(database: Path) -> Source:
    """
    Return what answers for *database* now.

    Raises:
        StoreError: there is no such database, or whoever has it open cannot be asked.
    """
    if not database.exists():
        raise StoreError(
            f"there is no database at {database}. Start `otel-revenue dev`, point the application at it, "
            "or name another file with --database"
        )
    for _ in range(20):
        try:
            Store(database, read_only=True).close()
            return FileSource(database)
        except StoreBusy:
            url = read_note(database)
        if url is not None:
            return ServerSource(url)
        time.sleep(0.1)  # the server has opened the file and is about to say where it answers, or to end
    raise StoreBusy(f"{database} is in use by another process, and it does not say where to ask; end it and try again")


def _understood(wanted: type[_Value], content: Any) -> _Value:
    try:
        return jsonable.from_json(wanted, content)
    except ValueError:
        raise StoreError("the running `otel-revenue dev` is of another version; restart it") from None
