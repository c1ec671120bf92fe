# SPDX-License-Identifier: Apache-2.0
"""A request as both edges see it, and the answers that it may get."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Request(NamedTuple):
    """
    One request to the route, without its body.

    Attributes:
        method: in upper case.
        tail: which of our two resources it asks for: an element of `TAILS`.
        headers: by name in lower case.
        client: address of whoever is connected, "" where the server does not know.
    """

    method: str
    tail: str
    headers: Mapping[str, str]
    client: str


class Answer(NamedTuple):
    """Status, headers (names in lower case) and body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def said(self) -> list[tuple[str, str]]:
        """The headers as they are sent: with the length, where an answer of this status has one (RFC 9110, section 8.6)."""
        given = self.status in (204, 304) or any(name == "content-length" for name, _ in self.headers)
        return [*self.headers] if given else [*self.headers, ("content-length", str(len(self.body)))]


MODULE: Final = "/otel-revenue.js"
LOGS: Final = "/v1/logs"
"""As OTLP over HTTP calls it, so that the module speaks to us and to a Collector in one way."""

TAILS: Final = (MODULE, LOGS)

REASONS: Final[dict[str, tuple[int, str]]] = {
    "inactive": (503, "the application is not instrumented by otel-revenue, or records span events alone"),
    "busy": (503, "the event could not be written"),
    "method": (405, "POST events here"),
    "rate": (429, "too many posts"),
    "privacy": (403, "the visitor's Global Privacy Control says no"),
    "origin": (403, "pages of this origin may not post here: see OTEL_REVENUE_BROWSER_ORIGINS"),
    "media_type": (415, "send application/json, not compressed"),
    "length": (411, "say how long the body is"),
    "size": (413, "the body is too large"),
    "events": (413, "too many events in one post"),
    "malformed": (400, "this is no OTLP in JSON with log records"),
}
"""Why a post is refused as a whole, with its status. The keys are labels of the metric `otel_revenue.browser.refused`."""

RETRY_S: Final = 30


class Refused(Exception):
    """A post is refused as a whole; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refusal(reason: str) -> Answer:
    """Return the answer of a refused post."""
    status, detail = REASONS[reason]
    more = (("retry-after", str(RETRY_S)),) if status in (429, 503) else ()
    return as_json(status, {"reason": reason, "detail": detail}, more)


def as_json(status: int, content: Any, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an answer that nobody keeps."""
    body = json.dumps(content).encode()
    return Answer(status, (("content-type", "application/json"), ("cache-control", "no-store"), *headers), body)
