"""What a profile would do to an OTLP file, told without a value of it; and the hash under which a value leaves."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from otel_revenue import cli
from otel_revenue._parsers import SigningKey
from otel_revenue.privacy.policy import digest

if TYPE_CHECKING:
    from pathlib import Path

    Capture = pytest.CaptureFixture[str]

ADDRESS = "xanthippe@example.com"


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


NOTE = [attribute("note", f"for {ADDRESS}")]
SCOPE = {"name": "shop", "attributes": NOTE}
RESOURCE = {
    "attributes": [attribute("service.name", "shop"), attribute("process.command_line", "python shop.py --key=x")]
}
TRACE_ID, SPAN_ID = "W47/95gDgQPSabYzgT/GDA==", "7uGbfsPBsXQ="  # base64, as protobuf's own JSON has bytes
TRACES = {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"scope": SCOPE, "spans": [{
    "traceId": TRACE_ID, "spanId": SPAN_ID, "name": f"GET /u/{ADDRESS}", "status": {"message": "ValueError: Xanthippe"},
    "attributes": [attribute("http.route", "/u/{id}"), *NOTE],
    "events": [{"name": "exception", "attributes": [attribute("exception.message", "Xanthippe")]}],
    "links": [{"traceId": TRACE_ID, "spanId": SPAN_ID, "attributes": NOTE}],
}]}]}]}  # fmt: skip
LOGS = {"resourceLogs": [{"scopeLogs": [
    {"scope": {"name": "shop"}, "logRecords": [{"timeUnixNano": "1", "body": {"stringValue": ADDRESS}, "attributes": NOTE}]},
    {"scope": {"name": "stripe"}, "logRecords": [{"timeUnixNano": "1", "body": {"stringValue": "API response"}}]},
]}]}  # fmt: skip
POINT = {"attributes": NOTE, "asDouble": 1.0, "exemplars": [{"filteredAttributes": NOTE, "asDouble": 1.0}]}
METRICS = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [POINT]}}]}]}]}

FOUND = {
    "traces": {
        ("resource", "process.command_line", "secret"), ("scope", "note", "email"), ("span", "name", "email"),
        ("span", "status", "message"), ("span", "note", "email"), ("span event", "exception.message", "message"),
        ("link", "note", "email"),
    },
    "logs": {("log record", "body", "email"), ("log record", "note", "email"), ("log record", "body", "whole")},
    "metrics": {("data point", "note", "email"), ("exemplar", "note", "email")},
}  # fmt: skip
CASES = {"traces": (TRACES, TracesData), "logs": (LOGS, LogsData), "metrics": (METRICS, MetricsData)}


@pytest.fixture(autouse=True)
def _defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_REVENUE_PRIVACY", raising=False)


def scan(capsys: Capture, *words: str) -> tuple[int, dict[str, Any], str]:
    code = cli.main(["privacy", "scan", *words, "--json"])
    said = capsys.readouterr()
    assert ADDRESS not in said.out + said.err
    assert "Xanthippe" not in said.out + said.err
    return code, json.loads(said.out), said.err


def places(answer: dict[str, Any]) -> set[tuple[str, ...]]:
    return {(row["signal"], row["place"], row["key"], row["kind"]) for row in answer["masked"]}


def expected(*signals: str) -> set[tuple[str, ...]]:
    return {(signal, *found) for signal in signals for found in FOUND[signal]}


def test_each_place_of_each_signal_is_looked_at(tmp_path: Path, capsys: Capture) -> None:
    """The Collector's JSON lines are read, and each place where something would be masked is told with its key and kind."""
    file = tmp_path / "otlp.json"
    file.write_text("\n".join(json.dumps(document) for document, _ in CASES.values()) + "\n\n")
    code, answer, _ = scan(capsys, str(file))

    assert (0, expected("traces", "logs", "metrics")) == (code, places(answer))


@pytest.mark.parametrize("signal", CASES)
@pytest.mark.parametrize("named", [True, False])
def test_a_request_in_protobuf_is_read(tmp_path: Path, capsys: Capture, signal: str, named: bool) -> None:
    """A request as it stands on the wire is read as the signal that it is, told or not."""
    document, message = CASES[signal]
    file = tmp_path / "request.bin"
    file.write_bytes(ParseDict(document, message()).SerializeToString())
    code, answer, _ = scan(capsys, str(file), *(["--signal", signal] if named else []))

    assert (0, expected(signal)) == (code, places(answer))


def test_one_document_on_many_lines_from_stdin(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that was printed for people is read, too, from stdin."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(LOGS, indent=2).encode())))

    assert expected("logs") == places(scan(capsys, "-")[1])


@pytest.mark.parametrize(("profile", "code", "rows"), [("off", 0, 0), ("revenue", 1, 7), ("strict", 1, 7)])
def test_a_build_fails_where_something_would_be_masked(
    tmp_path: Path, capsys: Capture, profile: str, code: int, rows: int
) -> None:
    """With `--fail` the exit code is 1 where the profile would mask something, and 0 where it would not."""
    file = tmp_path / "otlp.json"
    file.write_text(json.dumps(TRACES))
    found, answer, _ = scan(capsys, str(file), "--fail", "--profile", profile)

    assert (code, profile, rows) == (found, answer["profile"], len(answer["masked"]))


@pytest.mark.parametrize(
    "line",
    [b'{"resourceSpans": [', b'{"resourceSpans": [1]}', b"{}", b"xanthippe@example.com", b"\xff\xfe", b'{"a":' * 100_000,
     b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":"xanthippe@example.com"}}]}]}]}'],
)  # fmt: skip
def test_what_cannot_be_read_is_no_all_clear(tmp_path: Path, capsys: Capture, line: bytes) -> None:
    """A file that cannot be read whole ends with exit code 2, whatever `--fail` says, and none of its text is shown."""
    file = tmp_path / "otlp.json"
    file.write_bytes(line)
    code, answer, error = scan(capsys, str(file))

    assert (2, 1) == (code, answer["unreadable"])
    assert "cannot be read" in error


def test_people_see_a_table(tmp_path: Path, capsys: Capture) -> None:
    """For people there is a table, with the most frequent first."""
    file = tmp_path / "otlp.json"
    file.write_text(json.dumps(METRICS) + "\n" + json.dumps(LOGS))
    code = cli.main(["privacy", "scan", str(file)])
    said = capsys.readouterr().out

    assert (0, True) == (code, "data point" in said and "email" in said)
    assert ADDRESS not in said


def test_a_file_that_is_not_there(capsys: Capture, tmp_path: Path) -> None:
    """A file that cannot be opened is named, without a stack trace."""
    code = cli.main(["privacy", "scan", str(tmp_path / "nothing.json")])

    assert (2, True) == (code, "nothing.json cannot be read" in capsys.readouterr().err)


def test_a_value_is_found_again_by_its_hash(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value on stdin is hashed under each configured key, the newest first, as the application hashes it."""
    monkeypatch.setenv("OTEL_REVENUE_PRIVACY_HASH_KEYS", "2026:a-secret-of-the-shop,2025:another-secret-of-it")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{ADDRESS}\n"))
    code = cli.main(["privacy", "hash"])
    keys = (SigningKey("2026", "a-secret-of-the-shop"), SigningKey("2025", "another-secret-of-it"))

    assert (0, [digest(key, ADDRESS) for key in keys]) == (code, capsys.readouterr().out.split())


def test_without_a_key_there_is_no_hash(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the command says which setting has none."""
    monkeypatch.delenv("OTEL_REVENUE_PRIVACY_HASH_KEYS", raising=False)

    assert 2 == cli.main(["privacy", "hash"])
    assert "OTEL_REVENUE_PRIVACY_HASH_KEYS" in capsys.readouterr().err


def test_without_an_action_the_actions_are_named(capsys: Capture) -> None:
    """The command alone says what there is."""
    assert 2 == cli.main(["privacy"])
    assert "privacy scan FILE" in capsys.readouterr().err
