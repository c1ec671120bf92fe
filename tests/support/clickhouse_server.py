# SPDX-License-Identifier: Apache-2.0
"""
A ClickHouse server of one process: ClickHouse's own engine (chdb) behind as much of its HTTP interface as the Collector's exporter uses.

The engine has no server of its own, and the servers that can be installed from a registry are too old for maps. It is big, so
`make clickhouse` puts it beside the virtual environment and OTEL_REVENUE_TEST_CLICKHOUSE names its folder.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

ENGINE = "OTEL_REVENUE_TEST_CLICKHOUSE"
HELLO = "SELECT displayName(), version(), revision(), timezone()"
"""What the driver asks first. It reads the answer in its newest protocol; the revision in it decides how it reads all others."""


@dataclass
class ClickHouse:
    """The server in a process of its own. What it has written survives `kill`; the port stays."""

    folder: Path
    password: str = ""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ClickHouse:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> ClickHouse:
        """Start it and wait until it answers; the test is skipped, which CI takes for a failure, where there is no engine."""
        engine = os.environ.get(ENGINE, "")
        if not Path(engine, "chdb").is_dir():
            pytest.skip(f"{ENGINE} names no folder with ClickHouse's engine: run `make test`")
        with (self.folder / "clickhouse.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "support.clickhouse_server",
                    str(self.port),
                    str(self.folder / "data"),
                    self.password,
                ],
                cwd=Path(__file__).parents[1],
                env={**os.environ, "PYTHONPATH": engine},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        end = time.monotonic() + 60
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(requests.ConnectionError):
                self.query("SELECT 1")
                return self
            time.sleep(0.05)
        raise AssertionError(f"ClickHouse does not answer:\n{(self.folder / 'clickhouse.log').read_text()}")

    def kill(self) -> None:
        """Kill -9."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(60)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Run one statement; returns its rows."""
        answer = requests.post(
            self.url,
            params={"default_format": "JSONEachRow"},
            data=sql.encode(),
            headers={"X-ClickHouse-Key": self.password},
            timeout=60,
        )
        assert answer.ok, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def run(self, script: str) -> None:
        """Run the statements of a script, as `clickhouse client --multiquery` does."""
        for statement in statements(script):
            self.query(statement)


def statements(script: str) -> list[str]:
    """Split a script at its semicolons; ours have none in texts or comments."""
    return [part for part in (part.strip() for part in script.split(";\n")) if part]


def hello(version: str) -> bytes:
    """Encode the answer to HELLO in the native format: block information, one row of four columns, revision 0."""

    def text(value: str) -> bytes:
        return bytes([len(value)]) + value.encode()

    columns = [("displayName()", "String", text("chdb")), ("version()", "String", text(version)),
               ("revision()", "UInt32", bytes(4)), ("timezone()", "String", text("UTC"))]  # fmt: skip
    information = b"\x01\x00\x02\xff\xff\xff\xff\x00"
    return (
        information + bytes([4, 1]) + b"".join(text(name) + text(kind) + b"\0" + data for name, kind, data in columns)
    )


def application(folder: str, password: str) -> Callable[..., Any]:
    """The ASGI application: one engine, one statement at a time."""
    from chdb.session import Session
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    session = Session(folder)
    version = str(session.query("SELECT version()", "TabSeparated")).strip()
    numbers = itertools.count()

    def answer(query: str, wanted: str, data: bytes) -> Response:
        if query.strip() == HELLO:
            return Response(hello(version))
        if data:  # INSERT INTO … FORMAT Native, rows in the body
            rows = Path(tempfile.gettempdir(), f"{os.getpid()}-{next(numbers)}.native")
            rows.write_bytes(data)
            head, _, _ = query.rpartition("FORMAT")
            query = f"{head} SELECT * FROM file('{rows}', Native)"
        try:
            return Response(session.query(query, wanted).bytes())
        except Exception as error:
            return PlainTextResponse(str(error), status_code=404 if "UNKNOWN_TABLE" in str(error) else 400)
        finally:
            if data:
                rows.unlink()

    async def handle(request: Request) -> Response:
        body = await request.body()
        basic = b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode().partition(":")[2]
        if password not in {basic, request.headers.get("X-ClickHouse-Key")}:
            return PlainTextResponse("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", 403)
        query = request.query_params.get("query")
        wanted = request.query_params.get("default_format", "TabSeparated")
        return answer(query, wanted, body) if query else answer(body.decode(), wanted, b"")

    return Starlette(routes=[Route("/{rest:path}", handle, methods=["GET", "POST"])])


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(application(sys.argv[2], sys.argv[3]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
