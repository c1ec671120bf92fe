"""The local backend as a whole: real sockets, a real database file, real processes, and what the report then says."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_revenue.analytics.figures import Report
from otel_revenue.analytics.server import LocalServer, is_loopback, note_file
from otel_revenue.analytics.source import ServerSource, open_source
from otel_revenue.analytics.store import Store
from otel_revenue.errors import ConfigError, StoreError
from support.local_backend import ALL_TIME, PROTOBUF, Backend
from support.otlp_events import event, logs_request, paid
from support.receiver import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JSON = {"Content-Type": "application/json"}
MAIN = "import sys; from otel_revenue.cli import main; sys.exit(main())"


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    running = Backend(tmp_path / "local.duckdb")
    yield running
    running.close()


def sums(report: Report) -> list[tuple[str, int, int]]:
    return [(row.currency, row.payments, row.gross_minor) for row in report.currencies]


def test_a_payment_that_is_sent_again_is_counted_once(backend: Backend) -> None:
    """
    What is delivered twice, in one request or in two, compressed or not, is one payment in the report.
    """
    first, second = paid(order_id="o-1", amount_minor=4999), paid(order_id="o-2", amount_minor=1)
    body = logs_request([first, second, first])

    answers = [
        backend.post(body),
        backend.post(gzip.compress(body), headers={**PROTOBUF, "Content-Encoding": "gzip"}),
        backend.post(zlib.compress(body), headers={**PROTOBUF, "Content-Encoding": "deflate"}),
    ]

    assert [200, 200, 200] == [answer.status_code for answer in answers]
    assert ExportLogsServiceResponse() == ExportLogsServiceResponse.FromString(answers[0].content)
    assert [("EUR", 2, 5000)] == sums(backend.report())
    assert wait_for(lambda: ["o-1", "o-2"] == sorted(order.order_id or "" for order in backend.paid))


def test_many_senders_at_once_are_all_kept(backend: Backend) -> None:
    """
    Requests that come together are committed together, and each is answered once it is on disk.
    """
    bodies = [logs_request([paid(order_id=f"o-{n}-{k}", amount_minor=1) for k in range(20)]) for n in range(30)]
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda part=part: statuses.extend(backend.post(body).status_code for body in part))
        for part in (bodies[:10], bodies[10:20], bodies[20:], bodies[:10])
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [200] * 40 == statuses
    assert [("EUR", 600, 600)] == sums(backend.report())


def test_json_is_answered_in_json(backend: Backend) -> None:
    """
    OTLP/JSON is taken as well, ids in hexadecimal and integers as text, and answered in kind.
    """
    attributes = [
        {"key": "event_id", "value": {"stringValue": "e-1"}},
        {"key": "amount_minor", "value": {"intValue": "4999"}},
        {"key": "currency", "value": {"stringValue": "JPY"}},
        {"key": "livemode", "value": {"boolValue": True}},
    ]
    record = {
        "eventName": "order.paid",
        "timeUnixNano": "17",
        "traceId": "0a" * 16,
        "spanId": "0B" * 8,
        "attributes": attributes,
    }
    body = json.dumps(
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, {"body": {"stringValue": "hi"}}]}]}]}
    ).encode()

    taken = backend.post(body, headers={"Content-Type": "application/json; charset=utf-8"})
    refused = backend.post(b"{", headers=JSON)

    assert (200, {}, "application/json") == (taken.status_code, taken.json(), taken.headers["Content-Type"])
    assert (400, 3) == (refused.status_code, refused.json()["code"])
    assert [("JPY", 1, 4999)] == sums(backend.report())
    assert wait_for(lambda: ["0a" * 16] == [order.trace_id for order in backend.paid])


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"),
    [
        pytest.param("/v1/logs", b"\xff" * 20, PROTOBUF, 400, b"ExportLogsServiceRequest", id="no protobuf"),
        pytest.param("/v1/traces", b"\xff" * 20, PROTOBUF, 400, b"ExportTraceServiceRequest", id="no spans"),
        pytest.param("/v1/metrics", b"\xff" * 20, PROTOBUF, 400, b"ExportMetricsServiceRequest", id="no metrics"),
        pytest.param("/v1/logs", b"no gzip at all", {**PROTOBUF, "Content-Encoding": "gzip"}, 400, b"damaged", id="no gzip"),
        pytest.param("/v1/logs", b"", {"Content-Type": "text/plain"}, 415, b"Content-Type", id="another type"),
        pytest.param("/v1/logs", b"", {}, 415, b"Content-Type", id="no type"),
        pytest.param("/v1/logs", b"", {**PROTOBUF, "Content-Encoding": "br"}, 415, b"gzip", id="another coding"),
        pytest.param("/v1/logs", b"x" * (20 * 2**20 + 1), PROTOBUF, 413, b"20971520", id="too large"),
        pytest.param("/v1/logs", gzip.compress(bytes(30 * 2**20)), {**PROTOBUF, "Content-Encoding": "gzip"}, 413, b"20971520", id="bomb"),
    ],
)  # fmt: skip
def test_a_bad_request_is_refused_with_its_reason(
    backend: Backend, path: str, body: bytes, headers: dict[str, str], status: int, reason: bytes
) -> None:
    """
    What cannot be taken is refused with the status that OTLP gives it and a reason, and keeps nobody else out.
    """
    answer = backend.post(body, path, headers)
    after = backend.post(logs_request([paid()]))

    assert status == answer.status_code
    assert reason in answer.content
    assert 200 == after.status_code


def test_log_records_that_are_no_events_are_counted(backend: Backend) -> None:
    """
    Ordinary log lines are taken, counted and not kept.
    """
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")

    answer = backend.post(request.SerializeToString())

    with backend.store.reading() as db:
        kept = db.execute("SELECT (SELECT count(*) FROM event), name, value FROM counter").fetchall()
    assert 200 == answer.status_code
    assert [(0, "log records that are no events", 1)] == kept


def test_metrics_and_empty_requests_are_taken(backend: Backend) -> None:
    """
    An application that exports all three signals to one endpoint sees no errors.
    """
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="x")

    answers = [
        backend.post(request.SerializeToString(), "/v1/metrics"),
        backend.post(b"", "/v1/traces"),
        backend.post(b"{}", "/v1/metrics", JSON),
    ]

    assert [200, 200, 200] == [answer.status_code for answer in answers]


def test_a_span_is_kept_once(backend: Backend) -> None:
    """
    Spans are known by trace and span id.
    """
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="GET /")

    backend.post(request.SerializeToString(), "/v1/traces")
    backend.post(request.SerializeToString(), "/v1/traces")

    with backend.store.reading() as db:
        kept = db.execute("SELECT name, trace_id FROM span").fetchall()
    assert [("GET /", (b"t" * 16).hex())] == kept


def test_nothing_is_acknowledged_that_is_not_stored(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While the database cannot take rows the answer is 503 with Retry-After; what is sent again afterwards is kept.
    """
    body = logs_request([paid()])

    def fails(*_: Any, **__: Any) -> Any:
        raise StoreError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(backend.store, "write", fails)
        meanwhile = backend.post(body)
        nothing = backend.report()
    afterwards = backend.post(body)

    assert (503, "1", 200) == (meanwhile.status_code, meanwhile.headers["Retry-After"], afterwards.status_code)
    assert ([], [("EUR", 1, 4999)]) == (sums(nothing), sums(backend.report()))


def test_the_report_is_the_same_from_the_server_and_from_the_file(backend: Backend) -> None:
    """
    While `dev` runs it is asked, afterwards the file is read: the same numbers.
    """
    backend.post(logs_request([event("checkout.start", order_id=f"o-{n}") for n in range(9)]))
    backend.post(logs_request([paid(order_id=f"o-{n}", amount_minor=100 + n) for n in range(5)]))

    running = open_source(backend.database)
    while_it_runs, payments, trace = running.report(ALL_TIME), running.payments(live=True), running.trace()
    funnel = running.funnel(ALL_TIME)
    backend.close()
    at_rest = open_source(backend.database)

    afterwards = at_rest.report(ALL_TIME)
    assert isinstance(running, ServerSource)
    assert 5 == while_it_runs.conversion.hits
    assert while_it_runs.to_json() | {"generated_ns": 0} == afterwards.to_json() | {"generated_ns": 0}
    assert replace(funnel, generated_ns=0) == replace(at_rest.funnel(ALL_TIME), generated_ns=0)
    assert (payments, trace) == (at_rest.payments(live=True), at_rest.trace())


def test_a_web_page_cannot_read_the_report(backend: Backend) -> None:
    """
    Reports are for names of this machine alone: a page that points its own name at 127.0.0.1 gets nothing.
    """
    backend.post(logs_request([paid()]))

    answers = [
        requests.get(f"{backend.url}/payments?live=1", headers={"Host": host}, timeout=10)
        for host in ("evil.example:80", "localhost:1")
    ]

    assert [403, 200] == [answer.status_code for answer in answers]
    assert b"4999" not in answers[0].content


def test_a_wrong_question_is_refused(backend: Backend) -> None:
    """
    A report with missing or malformed parameters is 400, not an error of the server; `/` says what this is.
    """
    paths = ("/report", "/funnel", "/report?since_ns=x&until_ns=1&timezone=UTC&live=1&window_days=14", "/payments", "/")

    statuses = [requests.get(backend.url + path, timeout=10).status_code for path in paths]

    assert [400, 400, 400, 400, 200] == statuses


def test_a_taken_port_is_named(backend: Backend) -> None:
    """
    Two receivers on one port: the second says so, and how to choose another.
    """
    with Store(None) as store, pytest.raises(ConfigError, match=rf"{backend.server.port} .* is taken.*--port"):
        LocalServer(store, port=backend.server.port)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("example.org", False),
    ],
)
def test_what_others_can_reach_is_known(host: str, expected: bool) -> None:
    """
    Only loopback addresses count as this machine alone.
    """
    assert expected == is_loopback(host)


def command(*words: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )


def listening(dev: subprocess.Popen[str]) -> str:
    """Read what `dev` says until it says where it listens and that it waits for orders."""
    assert dev.stdout is not None
    text = ""
    while "Paid orders:" not in text:
        line = dev.stdout.readline()
        assert line, (text, dev.stderr.read() if dev.stderr else "")
        text += line
    found = re.search(r"http://127\.0\.0\.1:\d+", text)
    assert found
    assert f"export OTEL_EXPORTER_OTLP_ENDPOINT={found[0]}" in text
    return found[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_dev_shows_orders_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """
    `otel-revenue dev` says what to export, shows a paid order, is asked by `report` meanwhile, and ends with 0 on a signal.
    """
    database = str(tmp_path / "folder" / "local.duckdb")
    dev = command("dev", "--port", "0", "--database", database)
    try:
        url = listening(dev)
        now = time.time_ns()
        requests.post(
            f"{url}/v1/logs",
            data=logs_request([paid("o-7", 4999, at=now, tier="pro", livemode=False)]),
            headers=PROTOBUF,
            timeout=30,
        )
        asked = command("report", "--database", database, "--test-mode", "--json")
        answer, errors = asked.communicate(timeout=60)
        way, more_errors = command("report", "--database", database, "--test-mode", "--funnel").communicate(timeout=60)
        dev.send_signal(number)
        shown, problems = dev.communicate(timeout=60)
    finally:
        dev.kill()

    assert ("", "", "") == (errors, more_errors, problems)
    assert 0 == dev.returncode
    assert "Funnel · TEST MODE" in way
    assert [("EUR", 1, 4999)] == sums(Report.from_json(json.loads(answer)))
    assert "paid  49.99 EUR  o-7  pro  one_off  test mode" in shown
    assert not note_file(tmp_path / "folder" / "local.duckdb").exists()


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """
    An event that was answered with 200 is in the report after the receiver was killed; its stale note misleads nobody.
    """
    database = tmp_path / "local.duckdb"
    dev = command("dev", "--port", "0", "--database", str(database))
    try:
        url = listening(dev)
        answer = requests.post(f"{url}/v1/logs", data=logs_request([paid("o-7", 4999)]), headers=PROTOBUF, timeout=30)
    finally:
        dev.kill()
        dev.communicate(timeout=60)

    assert 200 == answer.status_code
    assert note_file(database).exists()
    assert [("EUR", 1, 4999)] == sums(open_source(database).report(ALL_TIME))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("dev", "--host", "0.0.0.0", "--port", "0"), "--allow-remote"),
        (("dev", "--port", "70000"), "from 0 to 65535"),
        (("report", "--database", "nowhere/local.duckdb"), "Start `otel-revenue dev`"),
        (("report", "--window", "0"), "--window"),
        (("report", "--timezone", "Nowhere"), "--timezone"),
    ],
)
def test_a_wrong_call_ends_with_2_and_the_remedy(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    """
    Commands that cannot be run say why and what to do, in one line, without a traceback.
    """
    asked = command(*words, XDG_STATE_HOME=str(tmp_path))

    _, errors = asked.communicate(timeout=60)

    assert 2 == asked.returncode
    assert told in errors
    assert 1 == len(errors.splitlines())


def test_remote_access_is_given_with_a_warning(tmp_path: Path) -> None:
    """
    With --allow-remote other addresses work, and a warning says what that means.
    """
    dev = command("dev", "--host", "0.0.0.0", "--allow-remote", "--port", "0", "--database", str(tmp_path / "x.duckdb"))
    try:
        url = listening(dev)
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=10):
            pass
        dev.send_signal(signal.SIGTERM)
        _, errors = dev.communicate(timeout=60)
    finally:
        dev.kill()

    assert (0, True) == (dev.returncode, errors.startswith("WARNING"))


@pytest.mark.parametrize("name", ["dev", "report"])
def test_without_the_extra_the_remedy_is_named(name: str) -> None:
    """
    Without DuckDB the commands name the extra to install.
    """
    program = f"import sys; sys.modules['duckdb'] = None; from otel_revenue.cli import main; sys.exit(main(['{name}']))"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert 2 == ended.returncode
    assert 'pip install "otel-revenue[local]"' in ended.stderr
