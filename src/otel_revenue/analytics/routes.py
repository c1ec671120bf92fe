# SPDX-License-Identifier: Apache-2.0
"""
What the running receiver answers about its database, as JSON: the database belongs to it while it runs.

Readable from this machine alone: a web page in the developer's browser must not get at it under a name of its own
(DNS rebinding), so the `Host` header must name this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otel_revenue.errors import StoreError

from . import funnel, jsonable
from .orders import Query
from .payments import totals
from .period import Period
from .report import build
from .trace import order_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from .store import Store

REPORT: Final = "/report"
FUNNEL: Final = "/funnel"
TRACE: Final = "/trace"
PAYMENTS: Final = "/payments"

_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def query_parameters(query: Query) -> dict[str, str]:
    """Return a query as the parameters of `REPORT` and `FUNNEL`."""
    return {
        "since_ns": str(query.period.since_ns),
        "until_ns": str(query.period.until_ns),
        "timezone": query.period.timezone,
        "live": str(int(query.live)),
        "window_days": str(query.window_days),
    }


def routes(store: Store) -> list[Route]:
    """Return the routes over *store*."""

    def report(given: QueryParams) -> Any:
        return build(store, _query(given)).to_json()

    def way(given: QueryParams) -> Any:
        return funnel.build(store, _query(given)).to_json()

    def trace(given: QueryParams) -> Any:
        return jsonable.to_json(order_trace(store, given.get("order_id")))

    def payments(given: QueryParams) -> Any:
        return jsonable.to_json(totals(store, live=given["live"] == "1"))

    return [
        Route(REPORT, _answering(report)),
        Route(FUNNEL, _answering(way)),
        Route(TRACE, _answering(trace)),
        Route(PAYMENTS, _answering(payments)),
    ]


def _query(given: QueryParams) -> Query:
    period = Period(int(given["since_ns"]), int(given["until_ns"]), given["timezone"])
    return Query(period, given["live"] == "1", int(given["window_days"]))


def _answering(answer: Callable[[QueryParams], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        if urlsplit(f"//{request.headers.get('host', '')}").hostname not in _LOCAL:
            return JSONResponse({"error": "only for this machine: ask 127.0.0.1"}, 403)
        try:
            return JSONResponse(await run_in_threadpool(answer, request.query_params))
        except (KeyError, ValueError):
            return JSONResponse({"error": "a parameter is missing or malformed"}, 400)
        except StoreError as error:
            return JSONResponse({"error": str(error)}, 503)

    return endpoint
