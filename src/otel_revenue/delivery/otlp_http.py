# SPDX-License-Identifier: Apache-2.0
"""OTLP over HTTP/protobuf, with `requests`."""

from __future__ import annotations

import contextlib
import gzip
import os
import time
import zlib
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_revenue.signals.otlp import frame_request

from .otlp_answer import from_answer
from .outcome import Delivered, Held, Later, Outcome, from_http

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .otlp_settings import OtlpSettings

MAX_ANSWER: Final = 64 * 1024

_inherited: list[Any] = []
"""Sessions that a forked child got from its parent: neither used nor closed."""


class OtlpHttp:
    """
    Posts to an OTLP/HTTP endpoint on a kept connection.

    Args:
        settings: where and how.
        resource, scope: encoded, of this process.
        version: our version, for the User-Agent.
    """

    name = "otlp"

    def __init__(self, settings: OtlpSettings, resource: bytes, scope: bytes, version: str) -> None:
        self._settings = settings
        self._resource = resource
        self._scope = scope
        self._headers = {
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"otel-revenue/{version}",
            "Accept-Encoding": "identity",  # answers are short, and must not be bombs
        }
        if settings.compression:
            self._headers["Content-Encoding"] = settings.compression
        self._session: Any = None
        self._adapter: Any = None
        self._prepared: Any = None
        self._environment: dict[str, Any] = {}
        self._pid = 0

    def send(self, records: Sequence[bytes], resource: bytes = b"") -> Outcome:
        """Post one request. The timeout bounds the whole, not each read. See `Destination.send`."""
        import requests

        body = self._compressed(frame_request(records, resource=resource or self._resource, scope=self._scope))
        timeout = self._settings.timeout_s
        deadline = time.monotonic() + timeout
        try:
            session, adapter = self._open()
            with suppress_instrumentation(), adapter.within(timeout):
                return self._post(session, body, len(records))
        except (requests.RequestException, OSError, ValueError) as error:
            if _never_sent(error):
                return Held(f"settings: {type(error).__name__}")
            self.close()
            return _unanswered(error, late=time.monotonic() >= deadline)

    def close(self) -> None:
        """Let go of the connection."""
        session, self._session = self._session, None
        self._prepared = None
        if session is not None:
            session.close()

    def _post(self, session: Any, body: bytes, sent: int) -> Outcome:
        request = self._request(session, body)
        with session.send(
            request, timeout=self._settings.timeout_s, allow_redirects=False, **self._environment
        ) as answer:
            outcome = from_http(answer.status_code, answer.headers.get("Retry-After"), time.time())
            if not isinstance(outcome, Delivered):
                _drain(answer)
                return outcome
            content = _content(answer)
            if content is None:
                return Later("answer too long", suspect=True)
            return from_answer(content, answer.headers.get("Content-Type", ""), sent)

    def _request(self, session: Any, body: bytes) -> Any:
        """Return the request. URL, headers, proxy and netrc are worked out once for a session: they cost as much as the post."""
        import requests

        if self._prepared is None or session.cookies:  # a load balancer's
            headers = {**self._headers, **self._settings.headers}
            request = requests.Request("POST", self._settings.endpoint, headers=headers, data=body)
            self._prepared = session.prepare_request(request)
            self._environment = session.merge_environment_settings(
                # `verify` is given here, not to the session: there REQUESTS_CA_BUNDLE of the environment would win over it.
                self._prepared.url, {}, True, self._settings.certificate, None
            )  # fmt: skip
        self._prepared.body = body
        self._prepared.headers["Content-Length"] = str(len(body))
        return self._prepared

    def _compressed(self, body: bytes) -> bytes:
        if self._settings.compression == "gzip":
            return gzip.compress(body, mtime=0)
        return zlib.compress(body) if self._settings.compression == "deflate" else body

    def _open(self) -> tuple[Any, Any]:
        if self._session is not None and self._pid != os.getpid():
            _inherited.append(self._session)
            self._session = self._prepared = None
        if self._session is None:
            import requests

            from .cuttable import CuttableAdapter

            session = requests.Session()
            self._adapter = CuttableAdapter()
            session.mount("https://", self._adapter)
            session.mount("http://", self._adapter)
            if self._settings.client_certificate:
                key = self._settings.client_key
                session.cert = (self._settings.client_certificate, key) if key else self._settings.client_certificate
            self._session, self._pid = session, os.getpid()
        return self._session, self._adapter


def _never_sent(error: Exception) -> bool:
    """Whether `requests` refused our own settings: URL, header, or the file of a certificate (a bare OSError)."""
    from requests import exceptions as of

    wrong = (of.InvalidURL, of.InvalidHeader, of.MissingSchema, of.InvalidSchema, UnicodeError)
    return isinstance(error, wrong) or type(error) is OSError


def _content(answer: Any) -> bytes | None:
    """
    Read the body; None when it is too long.

    Raises:
        ConnectionError: it ended before its announced length, which older urllib3 passes over.
    """
    announced = answer.headers.get("Content-Length", "")
    content = b""
    for chunk in answer.iter_content(8192):
        content += chunk
        if len(content) > MAX_ANSWER:
            return None
    if announced.isdigit() and len(content) < int(announced) and "Content-Encoding" not in answer.headers:
        raise ConnectionError("the answer ended early")
    return content


def _drain(answer: Any) -> None:
    """Read a short body whose status says it all, so that the connection is kept; whatever happens to it changes nothing."""
    announced = answer.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) <= MAX_ANSWER:
        with contextlib.suppress(Exception):
            _content(answer)


def _unanswered(error: Exception, *, late: bool) -> Later:
    """No answer. What never reached the far end says nothing about the content."""
    import requests

    if late or isinstance(error, requests.ReadTimeout):
        return Later("timeout", suspect=True)
    unreached = (requests.exceptions.SSLError, requests.exceptions.ProxyError, requests.ConnectTimeout)
    refused = type(getattr(error.args[0] if error.args else None, "reason", None)).__name__ in (
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeoutError",
    )
    return Later(f"network: {type(error).__name__}", suspect=not (refused or isinstance(error, unreached)))
