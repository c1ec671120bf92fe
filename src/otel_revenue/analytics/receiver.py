# SPDX-License-Identifier: Apache-2.0
"""
An OTLP/HTTP receiver as a Starlette application.

A request is answered with 200 when what it carried is on disk, never before.

Source: OTLP specification, "OTLP/HTTP Response".
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from otel_revenue.errors import StoreError
from otel_revenue.signals.otlp import varint

from . import body
from .body import Encoding, Refused
from .logs import read_logs
from .otlp_json import to_json, to_protobuf
from .spans import read_spans
from .store import BadRows, Batch
from .values import Members

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from .writer import Writer

OTHER_LOGS: Final = "log records that are no events"
METRICS: Final = "metrics requests"

_GRPC_CODES: Final = {400: 3, 413: 3, 415: 3, 503: 14}


class Receiver:
    """
    The three signals' routes.

    Args:
        writer: takes the rows.
        limit: bytes of a body, decompressed.
    """

    def __init__(self, writer: Writer, *, limit: int = body.MAX_BODY) -> None:
        self._writer = writer
        self._limit = limit
        self._members = Members()
        self._decoding = threading.Lock()  # `_members` is not to be shared; decoding holds the GIL anyway

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v1/logs", self._taking(self._logs), methods=["POST"]),
            Route("/v1/traces", self._taking(self._traces), methods=["POST"]),
            Route("/v1/metrics", self._taking(self._metrics), methods=["POST"]),
        ]

    def _taking(self, read: Callable[[bytes, Encoding], tuple[Batch, Any]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            encoding = Encoding.PROTOBUF
            try:
                encoding = body.encoding_of(request.headers.get("content-type", ""))
                data = await self._body(request)
                batch, answer = await run_in_threadpool(self._read, read, data, encoding, request)
                if batch.events or batch.spans or batch.counts:
                    await asyncio.wrap_future(self._writer.submit(batch))
            except Refused as refused:
                return _failure(refused.status, str(refused), encoding)
            except BadRows:
                return _failure(400, "the database cannot hold what the request carries", encoding)
            except StoreError as error:
                return _failure(503, str(error), encoding)
            except ClientDisconnect:
                return Response(status_code=400)
            return _answer(answer, encoding)

        return endpoint

    async def _body(self, request: Request) -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self._limit:
                raise body.too_large(self._limit)
            parts.append(part)
        return b"".join(parts)

    def _read(
        self,
        read: Callable[[bytes, Encoding], tuple[Batch, Any]],
        data: bytes,
        encoding: Encoding,
        request: Request,
    ) -> tuple[Batch, Any]:
        data = body.unpack(data, request.headers.get("content-encoding", ""), self._limit)
        with self._decoding:
            return read(data, encoding)

    def _logs(self, data: bytes, encoding: Encoding) -> tuple[Batch, Any]:
        if encoding is Encoding.JSON:
            data = to_protobuf(data, ExportLogsServiceRequest())
        rows = read_logs(data, self._members)
        answer = ExportLogsServiceResponse()
        if rows.rejected:
            answer.partial_success.rejected_log_records = rows.rejected
            answer.partial_success.error_message = "records above 1 MiB are not taken"
        return Batch(events=rows.lines, counts={OTHER_LOGS: rows.others} if rows.others else {}), answer

    def _traces(self, data: bytes, encoding: Encoding) -> tuple[Batch, Any]:
        if encoding is Encoding.JSON:
            data = to_protobuf(data, ExportTraceServiceRequest())
        rows = read_spans(data, self._members)
        answer = ExportTraceServiceResponse()
        if rows.rejected:
            answer.partial_success.rejected_spans = rows.rejected
            answer.partial_success.error_message = "spans above 1 MiB or without ids are not taken"
        return Batch(spans=rows.lines), answer

    def _metrics(self, data: bytes, encoding: Encoding) -> tuple[Batch, Any]:
        message = ExportMetricsServiceRequest()
        if encoding is Encoding.JSON:
            to_protobuf(data, message)
        else:
            body.parsed(message, data)
        return Batch(), ExportMetricsServiceResponse()


def application(writer: Writer, *, more: Sequence[Route] = (), limit: int = body.MAX_BODY) -> Starlette:
    """Return the ASGI application: the receiver, a line about it at `/`, and *more* routes."""
    return Starlette(routes=[Route("/", _about), *Receiver(writer, limit=limit).routes(), *more])


async def _about(_: Request) -> Response:
    return PlainTextResponse(
        "otel-revenue dev takes OTLP/HTTP here: /v1/logs, /v1/traces, /v1/metrics.\n"
        "`otel-revenue report` says what it knows.\n"
    )


def _answer(message: Any, encoding: Encoding) -> Response:
    content = to_json(message) if encoding is Encoding.JSON else message.SerializeToString()
    return Response(content, media_type=encoding.value)


def _failure(status: int, reason: str, encoding: Encoding) -> Response:
    """The body of a failure is a `google.rpc.Status`: code = 1, message = 2."""
    code = _GRPC_CODES[status]
    if encoding is Encoding.JSON:
        content = json.dumps({"code": code, "message": reason}).encode()
    else:
        text = reason.encode()
        content = b"\x08" + varint(code) + b"\x12" + varint(len(text)) + text
    headers = {"Retry-After": "1"} if status == 503 else None
    return Response(content, status, headers, media_type=encoding.value)
