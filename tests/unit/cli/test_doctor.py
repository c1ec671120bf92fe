# SPDX-License-Identifier: Apache-2.0
"""Each check of the doctor, on surroundings that are stated; the whole is run in tests/integration/test_doctor.py."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from otel_revenue import cli, config
from otel_revenue.cli import (
    _checks_beside,
    _checks_endpoint,
    _checks_installed,
    _checks_live,
    _checks_settings,
    _checks_store,
    _findings,
    _probe,
    _store,
    doctor,
)
from otel_revenue.cli._findings import Around, Finding, Level
from otel_revenue.delivery import otlp_settings
from otel_revenue.delivery.outcome import Delivered, Held, Later, Outcome, Refused
from otel_revenue.delivery.spool import Spool
from otel_revenue.runtime.plan import make_plan
from support.waiting_store import open_store, paid, refuse, unread

if TYPE_CHECKING:
    from pathlib import Path

EXPORTERS = (("console", "opentelemetry-sdk"), ("otlp_proto_grpc", "grpc"), ("otlp_proto_http", "http"))
INSTALLED = {
    "opentelemetry-api": "1.45.1",
    "opentelemetry-sdk": "1.45.1",
    "opentelemetry-instrumentation": "0.66b1",
    "opentelemetry-instrumentation-fastapi": "0.66b1",
    "fastapi": "0.165.0",
    "grpcio": "1.80.0",
    "stripe": "16.1.0",
}
ENTRY_POINTS = {
    "opentelemetry_instrumentor": (("otel_revenue", "otel-revenue"),),
    "opentelemetry_distro": (("distro", "opentelemetry-distro"),),
    "opentelemetry_configurator": (("configurator", "opentelemetry-distro"),),
    "opentelemetry_traces_exporter": EXPORTERS,
    "opentelemetry_metrics_exporter": EXPORTERS,
    "opentelemetry_logs_exporter": EXPORTERS,
}


def around(environ: dict[str, str] | None = None, **changed: Any) -> Around:
    """Surroundings in which all is well, but for what is stated."""
    environ = {"OTEL_SERVICE_NAME": "shop", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **(environ or {})}
    settings, problems = config.load(environ)
    resource = SimpleNamespace(attributes={"service.name": environ["OTEL_SERVICE_NAME"]})
    values: dict[str, Any] = {
        "environ": environ,
        "settings": settings,
        "problems": tuple(problems),
        "plan": make_plan(settings, environ, SimpleNamespace(resource=resource)),
        "place": _store.find(environ, settings=settings),
        "installed": INSTALLED,
        "entry_points": ENTRY_POINTS,
        "live": None,
        "now_ns": time.time_ns(),
    }
    return Around(**{**values, **changed})


def without(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def trouble(findings: list[Finding]) -> list[tuple[str, str]]:
    """What is not well: level and text with remedy."""
    return [(f.level.value, f"{f.what} -> {f.remedy}") for f in findings if f.level in (Level.WARN, Level.FAIL)]


def one(findings: list[Finding]) -> tuple[str, str]:
    (found,) = trouble(findings)
    return found


@pytest.mark.parametrize(
    "check", [*_checks_installed.CHECKS[1:], *_checks_settings.CHECKS], ids=lambda check: check.__name__
)
def test_nothing_is_wrong_where_all_is_well(check) -> None:
    """With everything installed and set, no check of installation or settings complains."""
    assert [] == trouble(check(around()))


# -- installed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "said"), [(None, "stripe is not installed"), ("7.13.0", "stripe 7.13.0 is too old")]
)
def test_a_stripe_library_that_cannot_be_observed(version, said) -> None:
    """No stripe, or one that is too old, is a failure with the line that mends it."""
    installed = without(INSTALLED, "stripe") | ({"stripe": version} if version else {})
    level, text = one(_checks_installed.stripe(around(installed=installed)))

    assert ("FAIL", True, True) == (level, said in text, "pip install --upgrade" in text)


def test_a_stripe_library_without_the_names_that_are_patched(monkeypatch) -> None:
    """A library of a right version that lacks what is patched is found out by looking into it."""
    monkeypatch.setattr(_checks_installed, "_PATCHED", (("stripe._webhook", "WebhookSignature", "no_such_name"),))
    level, text = one(_checks_installed.stripe(around()))

    assert ("FAIL", True) == (level, "lacks WebhookSignature.no_such_name" in text)


def test_an_entry_point_that_is_not_visible() -> None:
    """Where opentelemetry-instrument cannot find us, that is a failure."""
    entry_points = {**ENTRY_POINTS, "opentelemetry_instrumentor": (("fastapi", "x"),)}
    level, text = one(_checks_installed.entry_point(around(entry_points=entry_points)))

    assert ("FAIL", True) == (level, "is not visible" in text)


def test_packages_of_different_releases() -> None:
    """API and SDK, or instrumentations, of different releases are named with their versions."""
    installed = {**INSTALLED, "opentelemetry-api": "1.40.0", "opentelemetry-instrumentation-fastapi": "0.60b1"}
    found = trouble(_checks_installed.opentelemetry(around(installed=installed)))

    assert ["WARN", "WARN"] == [level for level, _ in found]
    assert "opentelemetry-api==1.45.1" in found[0][1]
    assert "opentelemetry-instrumentation-fastapi 0.60b1" in found[1][1]


def test_nothing_that_sets_the_sdk_up() -> None:
    """Without distro and configurator nothing leaves: two failures."""
    bare = {**ENTRY_POINTS, "opentelemetry_distro": (), "opentelemetry_configurator": ()}
    found = trouble(_checks_installed.setup(around(entry_points=bare)))

    assert [("FAIL", True)] * 2 == [(level, "otel-revenue[auto]" in text) for level, text in found]


def test_a_second_configurator_that_may_hijack_the_first() -> None:
    """With two configurators the first one found wins: both are named, and the variable that decides."""
    two = (("configurator", "opentelemetry-distro"), ("vendor", "vendor-distro"))
    entry_points = {**ENTRY_POINTS, "opentelemetry_configurator": two}
    level, text = one(_checks_installed.setup(around(entry_points=entry_points)))
    settled = around({"OTEL_PYTHON_CONFIGURATOR": "vendor"}, entry_points=entry_points)

    assert ("WARN", True, True) == (level, "vendor (of vendor-distro)" in text, "OTEL_PYTHON_CONFIGURATOR" in text)
    assert [] == trouble(_checks_installed.setup(settled))


def test_a_configurator_that_is_not_there() -> None:
    """A name that nothing installed has is a failure."""
    level, text = one(_checks_installed.setup(around({"OTEL_PYTHON_CONFIGURATOR": "aws"})))

    assert ("FAIL", True) == (level, "OTEL_PYTHON_CONFIGURATOR=aws names no installed configurator" in text)


@pytest.mark.parametrize(
    ("environ", "level", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "FAIL", "zipkin is not installed"),
        ({"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"}, "FAIL", "otlp over http/json is not installed"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "WARN", "no spans leave"),
        ({"OTEL_METRICS_EXPORTER": "none"}, "WARN", "nothing to alert on"),
    ],
)
def test_exporters(environ, level, said) -> None:
    """An exporter that is not installed keeps the SDK from starting; one that is switched off is said."""
    found = one(_checks_installed.exporters(around(environ)))

    assert (level, True) == (found[0], said in found[1])


def test_grpc_without_grpcio() -> None:
    """Events that are to leave over gRPC need grpcio; over HTTP they do not."""
    bare = without(INSTALLED, "grpcio")
    level, text = one(_checks_installed.grpc(around({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, installed=bare)))

    assert ("FAIL", True) == (level, "otel-revenue[grpc]" in text)
    assert [] == _checks_installed.grpc(around(installed=bare))


def test_a_framework_without_instrumentation() -> None:
    """A web framework whose instrumentation is missing, or kept out, is named."""
    bare = without(INSTALLED, "opentelemetry-instrumentation-fastapi")
    missing = one(_checks_installed.web(around(installed=bare)))
    kept_out = one(_checks_installed.web(around({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, fastapi"})))

    assert ("WARN", True) == (missing[0], 'pip install "opentelemetry-instrumentation-fastapi"' in missing[1])
    assert ("WARN", True) == (kept_out[0], "leaves fastapi out" in kept_out[1])


def test_another_pythons_opentelemetry_instrument(tmp_path: Path) -> None:
    """When PATH leads to the script of another environment, that is said, with the one to use."""
    script = tmp_path / "opentelemetry-instrument"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    level, text = one(_checks_installed.python(around({"PATH": str(tmp_path)})))

    assert ("WARN", True) == (level, f"PATH is {script}, of another Python" in text)


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"},
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis , otel_revenue"},
    ],
)
def test_switched_off(environ) -> None:
    """Each way to switch us off is a failure that names its variable."""
    level, text = one(_checks_settings.switched_off(around(environ)))

    assert ("FAIL", True) == (level, next(iter(environ)) in text)


def test_wrong_and_unknown_settings() -> None:
    """A wrong value and an unknown name are failures; the others are shown as they were read."""
    environ = {"OTEL_REVENUE_HOLD": "soon", "OTEL_REVENUE_LINGR": "1", "OTEL_REVENUE_EMIT_ZERO": "true"}
    findings = _checks_settings.own(around(environ))
    found = trouble(findings)

    assert "settings: emit_zero=True" == findings[0].what
    assert ["FAIL", "FAIL"] == [level for level, _ in found]
    assert "OTEL_REVENUE_HOLD" in found[0][1]
    assert "did you mean OTEL_REVENUE_LINGER?" in found[1][1]


def test_a_service_without_a_name() -> None:
    """A service that has no name shares its store with every other one: said."""
    assert "OTEL_SERVICE_NAME" in one(_checks_settings.service(around({"OTEL_SERVICE_NAME": "unknown_service"})))[1]


def test_what_is_given_up_is_said_with_the_remedy() -> None:
    """Where logs go elsewhere, the plan's own words are shown, the remedy apart."""
    findings = _checks_settings.plan(around({"OTEL_LOGS_EXPORTER": "console"}))
    (warning,) = [f for f in findings if f.level is Level.WARN]

    assert "logs go to console" in warning.what
    assert warning.remedy.startswith("Set OTEL_REVENUE_DELIVERY=durable")


def test_a_sampler_that_takes_nothing() -> None:
    """Sampling at zero is said: events leave, but on no trace."""
    assert "on no trace" in one(_checks_settings.plan(around({"OTEL_TRACES_SAMPLER": "always_off"})))[1]


def test_a_configuration_file_that_nobody_reads() -> None:
    """The variable's old name is read by nobody: said."""
    level, text = one(_checks_settings.config_file(around({"OTEL_EXPERIMENTAL_CONFIG_FILE": "x.yaml"})))

    assert ("WARN", True) == (level, "OTEL_CONFIG_FILE" in text)


@pytest.mark.parametrize(
    ("content", "level", "said"),
    [
        (None, "FAIL", "there is no file"),
        ("a: [", "FAIL", "not readable as YAML"),
        ("- 1", "FAIL", "holds no settings"),
        ("tracer_provider: {processors: [{batch: {}}, {revenue: {}}]}", "FAIL", "does not know (revenue)"),
        (
            "logger_provider: {processors: [{event_to_span_event_bridge/development: {}}]}",
            "FAIL",
            "without any telemetry",
        ),
        ("instrumentation/development: {python: {otel_revenue: {enabled: false}}}", "WARN", "instruments all the same"),
    ],
)
def test_the_traps_of_a_configuration_file(tmp_path: Path, content, level, said) -> None:
    """A file that keeps the SDK from starting, or does not do what it says, is found before the application runs."""
    path = tmp_path / "otel.yaml"
    if content is not None:
        path.write_text(content)
    installed = {**INSTALLED, "opentelemetry-configuration": "0.66b1"}
    found = trouble(_checks_settings.config_file(around({"OTEL_CONFIG_FILE": str(path)}, installed=installed)))

    # Where our own sender delivers, the file does not say where to.
    assert ["WARN", level] == [f[0] for f in found]
    assert said in found[1][1]


def test_a_configuration_file_without_its_package_or_its_logs(tmp_path: Path) -> None:
    """Without opentelemetry-configuration the SDK does not start; without logger_provider the application's pipeline swallows events."""
    path = tmp_path / "otel.yaml"
    path.write_text("tracer_provider: {processors: [{batch: {}}]}")
    environ = {"OTEL_CONFIG_FILE": str(path), "OTEL_REVENUE_DELIVERY": "sdk"}
    found = trouble(_checks_settings.config_file(around(environ)))

    assert [True, True] == [
        "opentelemetry-configuration is not installed" in found[0][1],
        "has no logger_provider" in found[1][1],
    ]


# -- live --------------------------------------------------------------------------------------------------------------


def test_live_providers_and_their_exporters() -> None:
    """What is live is named by the exporters' classes: the inside of the SDK that is read is still there."""
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    tracer, logger = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
    tracer.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    tracer.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    logger.add_log_record_processor(BatchLogRecordProcessor(InMemoryLogRecordExporter()))
    meter = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    findings = _checks_live.providers(around(live=_findings.Live(tracer, logger, meter, object())))
    for provider in (tracer, logger, meter):
        provider.shutdown()

    assert [] == trouble(findings)
    assert [2, 1, 1] == [f.what.count("InMemory") for f in findings]


def test_an_sdk_that_did_not_start() -> None:
    """A process under opentelemetry-instrument whose providers are proxies has no telemetry: failures."""
    from opentelemetry.metrics import NoOpMeterProvider
    from opentelemetry.trace import ProxyTracerProvider

    live = _findings.Live(ProxyTracerProvider(), object(), NoOpMeterProvider(), None)
    found = trouble(_checks_live.providers(around(live=live))) + trouble(_checks_live.runtime(around(live=live)))

    assert ["FAIL", "WARN", "FAIL"] == [level for level, _ in found]
    assert "no provider for traces was set up (ProxyTracerProvider)" in found[0][1]
    assert "is dormant in this process" in found[2][1]


def test_a_plain_run_says_what_it_cannot_see() -> None:
    """Without opentelemetry-instrument the live parts are not looked at, and how to is said."""
    (finding,) = _checks_live.runtime(around())

    assert (Level.SKIP, True) == (finding.level, "opentelemetry-instrument otel-revenue doctor" in finding.remedy)


# -- store -------------------------------------------------------------------------------------------------------------


def test_a_store_in_order(tmp_path: Path) -> None:
    """A ledger with nothing that waits, and news in it, gives no complaint of its own."""
    store = open_store(tmp_path)
    raw = sqlite3.connect(tmp_path / "ledger.sqlite3")
    raw.execute(
        "INSERT INTO payment (doc, recorded_ns, due_ns, soft_key, soft_ns, twin, touched_ns) VALUES ('{}', 1, 0, NULL, 0, 0, ?)",
        (time.time_ns(),),
    )
    raw.execute("INSERT INTO alias VALUES ('pi', '', 'pi_1', 0, 1), ('cs', '', 'cs_1', 0, 1)")
    raw.commit()
    raw.close()
    surroundings = around({"OTEL_REVENUE_STORE": str(tmp_path)})
    findings = _checks_store.ledger(surroundings) + _checks_beside.folders(surroundings)
    store.close()

    assert [] == trouble(findings)
    assert any("name: Checkout Sessions 1, PaymentIntents 1" in f.what for f in findings)
    assert any("knows 1 payment, has recorded 1" in f.what for f in findings)


def test_what_waits_and_what_was_refused(tmp_path: Path) -> None:
    """Events that wait for long, with their money, a refused one, and unread news are three findings."""
    store = open_store(tmp_path, paid(1), paid(2))
    refuse(store, 2, "http 413")
    unread(store)
    found = trouble(_checks_store.ledger(around({"OTEL_REVENUE_STORE": str(tmp_path)})))
    store.close()

    assert ["WARN", "WARN", "FAIL", "WARN"] == [level for level, _ in found]
    assert "no news of a payment" in found[0][1]
    assert "1 event of the outbox wait, the oldest since 1d (not yet acknowledged: 99.98 EUR)" in found[1][1]
    assert "1 event set aside: the far end refuses them for good (http 413)" in found[2][1]
    assert "webhook invoice: amount_missing" in found[3][1]


def test_folders_beside_the_ledger(tmp_path: Path) -> None:
    """Old events of the spool, facts kept aside, and thin events that nobody fetches are said."""
    for name in ("spool", "facts", "thin"):
        spool = Spool(tmp_path / name, token="1-dead")
        spool.append(b"waits")
        spool.close()
    later = time.time_ns() + 3600 * 10**9
    environ = {"OTEL_REVENUE_STORE": str(tmp_path)}
    found = trouble(_checks_beside.folders(around(environ, now_ns=later)))
    asked = {**environ, "OTEL_REVENUE_STRIPE_LOOKUP": "true"}
    late, soon = (_checks_beside.folders(around(asked, now_ns=at)) for at in (later, time.time_ns()))

    assert "1 event of the spool wait" in found[0][1]
    assert "1 of them of dead processes, untouched since" in found[0][1]
    assert "1 fact kept aside, since the store was busy or broken, untouched since 1h" in found[1][1]
    assert "the objects of 1 thin event are to be fetched from Stripe, untouched since 1h" in found[2][1]
    assert (["WARN"], ["OK"]) == tuple([f.level for f in each if "thin event" in f.what] for each in (late, soon))


def test_a_damaged_ledger_that_was_moved(tmp_path: Path) -> None:
    """A ledger that was moved aside is a failure until somebody has looked into it."""
    (tmp_path / "ledger.sqlite3.corrupt-20261124T000000Z").write_bytes(b"x")
    (tmp_path / "ledger.sqlite3.corrupt-20261124T000000Z-wal").write_bytes(b"x")
    found = trouble(_checks_store.ledger(around({"OTEL_REVENUE_STORE": str(tmp_path)})))

    assert [("FAIL", 1), ("WARN", 0)] == [(level, text.count("corrupt-")) for level, text in found]


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    """A file where the folder should be is a failure; nothing is created by looking."""
    (tmp_path / "file").write_text("")
    level, text = one(_checks_store.place(around({"OTEL_REVENUE_STORE": str(tmp_path / "file" / "store")})))

    assert ("FAIL", True) == (level, f"{tmp_path / 'file'} is no folder" in text)


def test_a_store_in_memory() -> None:
    """Memory is a warning with the remedy."""
    level, text = one(_checks_store.place(around({"OTEL_REVENUE_STORE": ":memory:"})))

    assert ("WARN", True) == (level, "OTEL_REVENUE_STORE" in text)


@pytest.mark.parametrize(
    ("kind", "level", "said"),
    [
        ("tmpfs", "WARN", "is in memory"),
        ("overlay", "WARN", "the container's own layer"),
        ("nfs4", "FAIL", "network file system (nfs4)"),
        ("ext4", None, ""),
    ],
)
def test_the_medium(tmp_path: Path, kind, level, said) -> None:
    """What a file system cannot promise is said; the innermost mount counts."""
    found = trouble(_checks_store._medium(tmp_path, {"/": "ext4", str(tmp_path): kind, "/elsewhere": "nfs"}))

    assert [(level, True)] * (level is not None) == [(f[0], said in f[1]) for f in found]


def test_room(tmp_path: Path, monkeypatch) -> None:
    """A disk that is nearly full is a warning, one that is full a failure."""
    levels = []
    for free in (1024**2, 100 * 1024**2, 10 * 1024**3):
        monkeypatch.setattr(_checks_store.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        (finding,) = _checks_store._room(tmp_path, around())
        levels.append(finding.level.value)

    assert ["FAIL", "WARN", "OK"] == levels


def test_a_ledger_that_others_may_read(tmp_path: Path) -> None:
    """Ids and amounts are nobody else's business: a wide mode is said."""
    open_store(tmp_path).close()
    (tmp_path / "ledger.sqlite3").chmod(0o644)
    found = trouble(_checks_store.ledger(around({"OTEL_REVENUE_STORE": str(tmp_path)})))

    assert any("others may read the ledger (mode 644)" in text for _, text in found)


# -- endpoint ----------------------------------------------------------------------------------------------------------

HTTP = otlp_settings.read({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
GRPC = otlp_settings.read({})
HTTPS = dataclasses.replace(HTTP, endpoint="https://otlp.example/v1/logs", insecure=False)


@pytest.mark.parametrize(
    ("outcome", "otlp", "spoken", "level", "said"),
    [
        (Delivered(), HTTP, "", Level.OK, "takes what is sent"),
        (Held("http 401"), HTTP, "HTTP/1", Level.FAIL, "OTEL_EXPORTER_OTLP_HEADERS: none is set"),
        (Held("grpc UNAUTHENTICATED"), GRPC, "HTTP/2", Level.FAIL, "OTEL_EXPORTER_OTLP_HEADERS"),
        (Held("http 404"), HTTP, "HTTP/1", Level.FAIL, "/v1/logs appended"),
        (Held("http 301"), HTTP, "HTTP/1", Level.FAIL, "it redirects"),
        (Held("answer is a web page"), HTTP, "HTTP/1", Level.FAIL, "is that path right?"),
        (Held("settings: InvalidHeader"), HTTP, "", Level.FAIL, "refuses its own settings"),
        (Held("grpc UNIMPLEMENTED"), GRPC, "HTTP/2", Level.FAIL, "a pipeline for logs"),
        (Refused("http 400"), HTTP, "HTTP/1", Level.WARN, "without events"),
        (Later("http 503"), HTTP, "HTTP/1", Level.WARN, "is busy"),
        (Later("timeout"), HTTP, "", Level.FAIL, "does not answer as an OTLP endpoint"),
        (Later("network: SSLError"), HTTPS, "", Level.FAIL, "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        (Later("network: ConnectionError"), HTTP, "HTTP/2", Level.FAIL, "the port speaks gRPC"),
        (Later("grpc UNAVAILABLE"), GRPC, "HTTP/1", Level.FAIL, "the port speaks HTTP"),
        (Later("network: ConnectionError"), HTTP, "TLS", Level.FAIL, "the port wants TLS"),
        (Later("network: SSLError"), HTTPS, "HTTP/1", Level.FAIL, "the port has no TLS"),
    ],
)
def test_what_an_answer_means(outcome: Outcome, otlp, spoken: str, level: Level, said: str) -> None:
    """Each answer of a far end leads to its own remedy."""
    finding = _checks_endpoint.judge(outcome, otlp, spoken)

    assert (level, True) == (finding.level, said in f"{finding.what} -> {finding.remedy}")


@pytest.mark.parametrize(
    ("greeting", "spoken"),
    [
        (b"HTTP/1.1 404 Not Found\r\n", "HTTP/1"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", "TLS"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05", "HTTP/2"),
        (b"SSH-2.0-OpenSSH", ""),
        (b"", ""),
    ],
)
def test_protocols_by_their_first_bytes(greeting: bytes, spoken: str) -> None:
    """What a server says first tells HTTP, gRPC and TLS apart."""
    assert spoken == _probe.classify(greeting)


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:pw@collector:4318"}, ("collector", 4318)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example"}, ("otlp.example", 443)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318"}, ("::1", 4318)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host:port"}, None),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, ("collector", 4317)),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "unix:///run/otel.sock"}, None),
    ],
)
def test_where_an_endpoint_is(environ, target) -> None:
    """Host and port are found in every form that an endpoint may have; a form that has none gives none."""
    otlp = otlp_settings.read({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **environ})
    found = _probe.target(otlp)

    assert target == (None if found is None else (found.host, found.port))


@pytest.mark.parametrize(
    ("protocol", "port", "said"),
    [("grpc", 4318, "=http/protobuf"), ("http/protobuf", 4317, "=grpc"), ("grpc", 4317, "")],
)
def test_the_usual_ports_mixed_up(protocol: str, port: int, said: str) -> None:
    """The usual port of the other protocol is a warning with both ways out."""
    otlp = otlp_settings.read(
        {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://collector:{port}"}
    )

    assert [True] * bool(said) == [said in f.remedy for f in _checks_endpoint._ports(otlp)]


def test_a_host_without_an_address(monkeypatch) -> None:
    """A name that cannot be resolved is a failure of its own: nothing is sent."""
    monkeypatch.setattr(_checks_endpoint._probe, "resolves", lambda _: False)
    findings = _checks_endpoint.endpoint(around({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.nowhere:4318"}))

    assert "the host collector.nowhere" in one(findings)[1]


def test_what_is_wrong_with_the_variables_themselves(tmp_path: Path) -> None:
    """A certificate's file that is not there, and a variable of a wrong shape, are failures."""
    environ = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem"), "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}
    found = trouble(_checks_endpoint.settings(around(environ)))

    assert ["FAIL", "FAIL"] == [level for level, _ in found]
    assert "OTEL_EXPORTER_OTLP_TIMEOUT" in found[0][1]
    assert "ca.pem cannot be read" in found[1][1]


def test_the_applications_own_pipeline_is_not_asked() -> None:
    """Where events leave through the application's exporter, its endpoint is not ours to try."""
    findings = _checks_endpoint.endpoint(around({"OTEL_LOGS_EXPORTER": "console"}))

    assert [Level.SKIP] == [f.level for f in findings]


@pytest.mark.parametrize(("offset", "said"), [(400.4, "400 s ahead of"), (-90.0, "90 s behind"), (2.0, ""), (None, "")])
def test_clocks_that_differ(monkeypatch, offset: float | None, said: str) -> None:
    """A clock that is off by half a minute is said, with the direction; one that cannot be compared is not made up."""
    monkeypatch.setattr(_checks_endpoint._probe, "clock_offset_s", lambda _: offset)
    found = trouble(_checks_endpoint.clock(around()))

    assert [("WARN", True)] * bool(said) == [(level, said in text) for level, text in found]


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_a_check_that_fails_keeps_no_other_from_being_told(monkeypatch) -> None:
    """A bug in one check is a line that names it; the others are made."""

    def broken(_: Around) -> list[Finding]:
        raise RuntimeError("of jane@example.org")

    monkeypatch.setattr(doctor, "SECTIONS", (("a", (broken,)), ("b", (_checks_settings.service,))))
    found = doctor.examine(around())

    assert [("a", [Level.FAIL]), ("b", [Level.OK])] == [(title, [f.level for f in fs]) for title, fs in found]
    assert "jane" not in str(found)


def test_json_and_exit_code(monkeypatch, capsys) -> None:
    """`--json` is one object; a failure makes the exit code 1, a warning does not."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_REVENUE_STORE", ":memory:")
    fine = cli.main(["doctor", "--offline", "--json"])
    before = json.loads(capsys.readouterr().out)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    bad = cli.main(["doctor", "--offline", "--json"])
    after = json.loads(capsys.readouterr().out)

    assert (0, 0, 1, 1) == (fine, before["problems"], bad, after["problems"])
    assert 0 < before["warnings"]
    assert {"section", "level", "what", "remedy"} == set(after["findings"][0])


def test_nothing_is_made_by_looking(tmp_path: Path, monkeypatch, capsys) -> None:
    """The doctor leaves no file and no folder where there was none."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    cli.main(["doctor", "--offline"])
    capsys.readouterr()

    assert [] == list(tmp_path.iterdir())
