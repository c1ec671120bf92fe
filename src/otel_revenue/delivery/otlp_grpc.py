# SPDX-License-Identifier: Apache-2.0
"""OTLP over gRPC, with `grpcio` and identity serializers: the request is framed by ourselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_revenue.errors import MissingExtra
from otel_revenue.signals.otlp import frame_request
from otel_revenue.signals.otlp_decode import decode_export_logs_response

from .outcome import Delivered, Later, Outcome, Refused, from_grpc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .otlp_settings import OtlpSettings

METHOD: Final = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


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
        self._channel: Any = None

    def send(self, records: Sequence[bytes], resource: bytes = b"") -> Outcome:
        """Make one call. See `Destination.send`."""
        body = frame_request(records, resource=resource or self._resource, scope=self._scope)
        try:
            with suppress_instrumentation():
                answer = self._method()(
                    body,
                    timeout=self._settings.timeout_s,
                    metadata=tuple((k.lower(), v) for k, v in self._settings.headers.items()),
                )
        except self._grpc.RpcError as error:
            code = error.code().name
            if code == "UNAVAILABLE":
                self.close()
            return from_grpc(code)
        except (OSError, ValueError) as error:
            self.close()
            return Later(f"network: {type(error).__name__}")
        try:
            partial = decode_export_logs_response(answer)
        except ValueError:
            return Later("answer is not OTLP")
        return (
            Refused(f"partial success: {partial.rejected} of {len(records)} rejected")
            if partial.rejected > 0
            else Delivered()
        )

    def close(self) -> None:
        """Let go of the channel."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _method(self) -> Any:
        if self._channel is None:
            self._channel = self._connect()
        return self._channel.unary_unary(METHOD, request_serializer=bytes, response_deserializer=bytes)

    def _connect(self) -> Any:
        kinds = {"gzip": self._grpc.Compression.Gzip, "deflate": self._grpc.Compression.Deflate}
        compression = kinds.get(self._settings.compression, self._grpc.Compression.NoCompression)
        options = (("grpc.primary_user_agent", f"otel-revenue/{self._version}"),)
        if self._settings.insecure:
            return self._grpc.insecure_channel(self._settings.endpoint, compression=compression, options=options)
        pem = [
            _file(p) for p in (self._settings.certificate, self._settings.client_key, self._settings.client_certificate)
        ]
        credentials = self._grpc.ssl_channel_credentials(*pem)
        return self._grpc.secure_channel(self._settings.endpoint, credentials, compression=compression, options=options)


def _file(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None
