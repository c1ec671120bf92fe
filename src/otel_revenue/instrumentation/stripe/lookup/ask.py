# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: SLF001 - the library has no public way to set the timeout of a client, or to read a raw answer
"""
One call of Stripe's API that is ours: by the application's own library and client, unseen by its traces.

No span, no event, no fact is made of it by our hooks, and HTTP instrumentations are suppressed. The library's own retries
are off, and its timeout is short where its HTTP client has one to set.
"""

from __future__ import annotations

import copy
import enum
import importlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_revenue.instrumentation.stripe.calls import Headers
from otel_revenue.instrumentation.stripe.observed import ours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .clients import Client

TIMEOUT_S: Final = 5.0
VERSION: Final = "2026-10-28.endive"
"""Asked for whatever the library's own is: the newest shapes that the allow-list was written for."""
MAX_BODY: Final = 2 * 1024 * 1024


class Outcome(enum.Enum):
    """What came of a call."""

    TOLD = "told"
    GONE = "gone"
    """There is no such object for this key (404), or the question is none (other 4xx)."""
    DENIED = "denied"
    """The key is wrong (401) or may not do this (403)."""
    LATER = "later"
    """429, 5xx, no connection, no JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    An answer.

    Attributes:
        outcome: what came of the call.
        status: HTTP status; 0 when no answer came.
        body: parsed, where it was told; never logged.
        retry_after_s: how long Stripe asks us to wait; 0 when it does not say.
    """

    outcome: Outcome
    status: int = 0
    body: Any = field(default=None, repr=False)
    retry_after_s: float = 0.0


def ask(client: Client, path: str, params: Mapping[str, Any]) -> Answer:
    """Make one GET; never raises for what the network or the far end does."""
    try:
        body, status, headers = _call(client.requestor, path, dict(params))
    except Exception as error:  # noqa: BLE001 - whatever the application's HTTP client raises; its text may quote personal data
        del error
        return Answer(Outcome.LATER)
    if status == 200:
        parsed = _parsed(body)
        return Answer(Outcome.TOLD if isinstance(parsed, dict) else Outcome.LATER, status, parsed)
    if status in (401, 403):
        return Answer(Outcome.DENIED, status)
    if status == 429 or status >= 500 or status < 400:
        return Answer(Outcome.LATER, status, retry_after_s=_seconds(Headers(headers).get("retry-after", "")))
    return Answer(Outcome.GONE, status)


def _call(requestor: Any, path: str, params: dict[str, Any]) -> tuple[object, int, object]:
    http = requestor._get_http_client()
    try:
        return _send(requestor, _quick(http), path, params)
    except (RuntimeError, NotImplementedError):
        # A client that only speaks asyncio: the library's own one for threads, with its proxy and certificates.
        library: Any = importlib.import_module("stripe._http_client")
        settings = {
            "verify_ssl_certs": getattr(http, "_verify_ssl_certs", True),
            "proxy": getattr(http, "_proxy", None),
        }
        return _send(requestor, _quick(library.new_default_http_client(**settings)), path, params)


def _send(requestor: Any, http: Any, path: str, params: dict[str, Any]) -> tuple[object, int, object]:
    requestor._client = http
    options = {"stripe_version": VERSION, "max_network_retries": 0}
    token = ours.set(True)
    try:
        with suppress_instrumentation():
            body, status, headers = requestor.request_raw(
                "get", path, params, options=options, base_address="api", api_mode="V1"
            )
    finally:
        ours.reset(token)
    return body, int(status), headers


def _quick(http: Any) -> Any:
    """Return the same client with a short timeout; its connections, proxy and certificates stay the application's."""
    quick = copy.copy(http)
    if hasattr(quick, "_timeout"):
        quick._timeout = TIMEOUT_S
    return quick


def _parsed(body: object) -> Any:
    if not isinstance(body, (str, bytes)) or len(body) > MAX_BODY:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
