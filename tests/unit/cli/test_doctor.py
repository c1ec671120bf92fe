# SPDX-License-Identifier: Apache-2.0
"""Each check of the doctor, on surroundings that are stated; the whole is run in tests/integration/test_doctor.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from otel_revenue import cli
from otel_revenue.cli import (
    _checks_installed,
    _checks_live,
    _checks_settings,
    _findings,
    doctor,
)
from otel_revenue.cli._findings import Around, Finding, Level
from support.doctor import ENTRY_POINTS, INSTALLED, around, one, trouble, without

if TYPE_CHECKING:
    from pathlib import Path


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


def test_stages_and_events_that_mean_nothing() -> None:
    """What is wrong in the mapping of routes, or in events of the application's own, is told as it is at start."""
    stages = [
        {"route": "POST /designs", "event": "design.begun"},
        {"route": "GET /checkout", "event": "checkout.start"},
    ]
    environ = {"OTEL_REVENUE_STAGES": json.dumps(stages), "OTEL_REVENUE_EVENTS": '[{"name": "quote"}]'}
    told = [f.what for f in _checks_settings.own(around(environ)) if f.level is Level.FAIL]

    assert [True, True] == ["events, entry 1" in told[0], "stages, entry 1" in told[1]]
    assert 2 == len(told)


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
