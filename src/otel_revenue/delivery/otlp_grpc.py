# SPDX-License-Identifier: Apache-2.0
"""OTLP over gRPC, with `grpcio` and identity serializers: the request is framed by ourselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_revenue.errors import MissingExtra
from otel_revenue.signals.otlp import frame_request
from otel_revenue.signals.otlp_decode import decode_export_logs_response, decode_retry_delay

from .outcome import Held, Later, Outcome, from_grpc, from_partial_success

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .otlp_settings import OtlpSettings

METHOD: Final = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_CONNECTION: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL"})
"""Codes after which the channel is opened anew: a dead peer would keep it waiting for minutes."""

_inherited: list[Any] = []
"""Channels that a forked child got from its parent: neither used nor closed."""


def _grpc() -> Any:
    try:
        import grpc
    except ImportError:
        raise MissingExtra(
            'OTLP over gRPC needs grpcio: pip install "otel-revenue[grpc]", or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf'
        ) from None
    return grpc


class OtlpGrpc:
    """
    Calls an OTLP/gRPC endpoint. The channel is opened by the process that sends: gRPC does not survive a fork.

    Raises:
        MissingExtra: grpcio is not installed.
    """

    name = "otlp"

    def __init__(self, settings: OtlpSettings, resource: bytes, scope: bytes, version: str) -> None:
        self._grpc = _grpc()
        self._settings = settings
        self._resource = resource
        self._scope = scope
        self._version = version
        self._metadata = tuple((name.lower(), value) for name, value in settings.headers.items())
        self._channel: Any = None
        self._pid = 0

    def send(self, records: Sequence[bytes], resource: bytes = b"") -> Outcome:
        """Make one call. See `Destination.send`."""
        body = frame_request(records, resource=resource or self._resource, scope=self._scope)
        try:
            with suppress_instrumentation():
                method = self._method()
                answer = method(body, timeout=self._settings.timeout_s, metadata=self._metadata)
        except self._grpc.RpcError as error:
            code = error.code().name
            if code in _CONNECTION:
                self.close()
            return from_grpc(code, _retry_delay(error))
        except OSError as error:  # a certificate's file
            return Held(f"settings: {type(error).__name__}")
        # A header that gRPC refuses to send, which 1.63 tells by a TypeError, or a channel that was closed meanwhile.
        except (ValueError, TypeError) as error:
            self.close()
            return Later(f"channel: {type(error).__name__}")
        try:
            return from_partial_success(decode_export_logs_response(answer).rejected, len(records))
        except ValueError:
            return Later("answer is not OTLP", suspect=True)

    def close(self) -> None:
        """Let go of the channel."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _method(self) -> Any:
        if self._channel is not None and self._pid != os.getpid():
            _inherited.append(self._channel)
            self._channel = None
        if self._channel is None:
            self._channel, self._pid = self._connect(), os.getpid()
        return self._channel.unary_unary(METHOD, request_serializer=bytes, response_deserializer=bytes)

    def _connect(self) -> Any:
        settings = self._settings
        kinds = {"gzip": self._grpc.Compression.Gzip, "deflate": self._grpc.Compression.Deflate}
        compression = kinds.get(settings.compression, self._grpc.Compression.NoCompression)
        options = (("grpc.primary_user_agent", f"otel-revenue/{self._version}"),)
        if settings.insecure:
            return self._grpc.insecure_channel(settings.endpoint, compression=compression, options=options)
        pem = [_file(path) for path in (settings.certificate, settings.client_key, settings.client_certificate)]
        credentials = self._grpc.ssl_channel_credentials(*pem)
        return self._grpc.secure_channel(settings.endpoint, credentials, compression=compression, options=options)


def _retry_delay(error: Any) -> float | None:
    """Return the seconds that the far end asks us to wait: the `RetryInfo` of the status' details."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                return decode_retry_delay(value)
            except ValueError:
                return None
    return None


def _file(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None
