# SPDX-License-Identifier: Apache-2.0
"""OTLP over HTTP/protobuf, with `requests`."""

from __future__ import annotations

import gzip
import time
import zlib
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_revenue.signals.otlp import frame_request
from otel_revenue.signals.otlp_decode import decode_export_logs_response

from .outcome import Delivered, Later, Outcome, Refused, from_http

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .otlp_settings import OtlpSettings

MAX_ANSWER: Final = 64 * 1024


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
        self._version = version
        self._session: Any = None

    def send(self, records: Sequence[bytes], resource: bytes = b"") -> Outcome:
        """Post one request. See `Destination.send`."""
        import requests

        body = frame_request(records, resource=resource or self._resource, scope=self._scope)
        headers = {
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"otel-revenue/{self._version}",
            **self._settings.headers,
        }
        if self._settings.compression:
            body = gzip.compress(body, mtime=0) if self._settings.compression == "gzip" else zlib.compress(body)
            headers["Content-Encoding"] = self._settings.compression
        deadline = time.monotonic() + self._settings.timeout_s
        try:
            with (
                suppress_instrumentation(),
                self._open().post(
                    self._settings.endpoint,
                    data=body,
                    headers=headers,
                    timeout=self._settings.timeout_s,
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                return self._judge(answer, len(records), deadline)
        except (requests.RequestException, OSError, ValueError) as error:
            self.close()
            return Later(f"network: {type(error).__name__}")

    def _judge(self, answer: Any, sent: int, deadline: float) -> Outcome:
        content = b""
        for chunk in answer.iter_content(8192):
            content += chunk
            if len(content) > MAX_ANSWER or time.monotonic() > deadline:
                return Later("answer too long or too slow")
        outcome = from_http(answer.status_code, answer.headers.get("Retry-After"), time.time())
        if not isinstance(outcome, Delivered):
            return outcome
        if "json" in answer.headers.get("Content-Type", ""):
            return outcome if content.lstrip()[:1] in (b"{", b"") else Later("answer is not OTLP")
        try:
            partial = decode_export_logs_response(content)
        except ValueError:
            return Later("answer is not OTLP")  # a login page with status 200 is no acknowledgement
        return Refused(f"partial success: {partial.rejected} of {sent} rejected") if partial.rejected > 0 else outcome

    def close(self) -> None:
        """Let go of the connection."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _open(self) -> Any:
        if self._session is None:
            import requests

            session = requests.Session()
            # SDK: the certificate is a CA bundle, the client's is one file or a pair.
            if self._settings.certificate:
                session.verify = self._settings.certificate
            if self._settings.client_certificate:
                key = self._settings.client_key
                session.cert = (self._settings.client_certificate, key) if key else self._settings.client_certificate
            self._session = session
        return self._session
