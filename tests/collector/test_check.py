# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue collector check` over the files of collector-config/: nothing to find in them, and each fault in a spoilt copy."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from otel_revenue import cli
from otel_revenue.cli.collector import _program, _variables
from otel_revenue.cli.collector._layers import Layer, scalars
from otel_revenue.cli.collector._rules import faults
from otel_revenue.cli.collector.check import read
from otel_revenue.schema.events import EVENTS, SCHEMA_VERSION
from otel_revenue.schema.fields import attributes_of
from support.collector import ask

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = Path(__file__).resolve().parents[2] / "collector-config"
BASE = ("base.yaml", "allowlist.yaml")
BACKENDS = tuple(sorted(path.relative_to(CONFIG).as_posix() for path in (CONFIG / "backends").glob("*.yaml")))
LAYERS = {
    name: Layer(name, found.content, found.required)
    for name in (*BASE, "browser.yaml", "metrics.yaml", *BACKENDS)
    for found in (read(str(CONFIG / name)),)
}
ATTRIBUTES = {name for event in EVENTS for name in attributes_of(event)}
RECORD = {"REVENUE_RECORD": "otlp_http/otlp_record"}

Content = dict[str, Any]


def environment(*names: str) -> dict[str, str]:
    """Return a value for every variable that the files want."""
    layers = [LAYERS[name] for name in names]
    wanted = {name for layer in layers for _, text in scalars(layer.content) for name in _variables.needed(text)}
    return dict.fromkeys(wanted.union(*(layer.required for layer in layers)), "http://backend:4318") | RECORD


def found(
    *names: str, spoil: dict[str, Callable[[Content], Any]] | None = None, **environ: str | None
) -> list[tuple[str, str, str]]:
    """Return file, key and text of each fault of the files, some of which were spoilt; a variable that is None is not set."""
    layers = []
    for name in names:
        content = copy.deepcopy(dict(LAYERS[name].content))
        if spoil and name in spoil:
            spoil[name](content)
        layers.append(Layer(name, content, LAYERS[name].required))
    given = {name: value for name, value in {**environment(*names), **environ}.items() if value is not None}
    return [(fault.file, fault.key, fault.what) for fault in faults(layers, given, ATTRIBUTES, SCHEMA_VERSION)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_shipped_backend_has_a_fault(backend: str) -> None:
    """Each file of backends/ beside the backend of record has nothing to be found."""
    assert [] == found(*BASE, *dict.fromkeys(("backends/otlp.yaml", backend)))


def test_all_shipped_files_together_have_no_fault() -> None:
    """Every file that is shipped loads with every other, and restates none of them."""
    assert [] == found(*LAYERS)


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("backends/")])
def test_an_exporter_of_record_answers_at_once(name: str) -> None:
    """Each exporter of record that a backend's file offers has neither queue nor retry."""
    exporters = [key for key in LAYERS[name].content["exporters"] if key.endswith("record")]

    assert [] == [
        fault
        for key in exporters
        for fault in found(*BASE, *dict.fromkeys(("backends/otlp.yaml", name)), REVENUE_RECORD=key)
    ]


# -- each fault, in a copy of a shipped file that was spoilt ----------------------------------------------------------------

OTLP = (*BASE, "backends/otlp.yaml")


def put(*path: str, value: Any) -> Callable[[Content], Any]:
    """Return what puts a value somewhere."""

    def spoil(content: Content) -> None:
        for key in path[:-1]:
            content = content.setdefault(key, {})
        content[path[-1]] = value

    return spoil


def take(*path: str) -> Callable[[Content], Any]:
    """Return what takes a key away."""

    def spoil(content: Content) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return spoil


def both(*spoilers: Callable[[Content], Any]) -> Callable[[Content], Any]:
    """Return what does all of it."""
    return lambda content: [spoil(content) for spoil in spoilers]


def forget_payment_kind(content: Content) -> None:
    """Make the allow-list one of a schema that did not know this attribute."""
    text = json.dumps(content["processors"]).replace('\\"payment_kind\\", ', "")
    content["processors"] = json.loads(text)


MINE = {"receivers": ["forward/mine"], "exporters": ["otlp_http/otlp"]}
COPIES = {"receivers": ["forward/money_copies"], "exporters": ["debug/all"]}
PIPELINES = ("service", "pipelines")
QUEUE = ("exporters", "otlp_http/otlp", "sending_queue")
RETRY = ("exporters", "otlp_http/otlp", "retry_on_failure")
B = "backends/otlp.yaml"

FAULTS = {
    "a backend restates a list of base": (
        {B: put(*PIPELINES, "logs/money", "exporters", value=["otlp_http/otlp"])},
        (B, "service::pipelines::logs/money::exporters", "restates a list of base.yaml"),
    ),
    "a backend overrides a scalar of base": (
        {B: put("processors", "memory_limiter", "limit_mib", value=64)},
        (B, "processors::memory_limiter::limit_mib", "overrides a setting of base.yaml"),
    ),
    "a backend sets a map of base to null": (
        {B: put("processors", "memory_limiter", value=None)},
        (B, "processors::memory_limiter", "null sets it back to its default"),
    ),
    "a forward point without a consumer": (
        {B: take(*PIPELINES, "logs/otlp_copies")},
        ("base.yaml", "connectors::forward/money_copies", "has no consumer"),
    ),
    "a forward point that nothing feeds": (
        {B: both(put("connectors", value={"forward/mine": None}), put(*PIPELINES, "logs/mine", value=MINE))},
        (B, "connectors::forward/mine", "has nothing that feeds it"),
    ),
    "funnel events that nobody takes": (
        {B: take(*PIPELINES, "logs/otlp_events")},
        ("base.yaml", "connectors::forward/events", "only nop takes it"),
    ),
    "an exporter that no file defines": (
        {B: put(*PIPELINES, "logs/otlp_events", "exporters", value=["otlp_http/oltp"])},
        (B, "service::pipelines::logs/otlp_events::exporters", "names otlp_http/oltp, which no file defines"),
    ),
    "money in a queue in memory": (
        {B: take(*QUEUE, "storage")},
        (B, "exporters::otlp_http/otlp::sending_queue", "its queue is in memory: acknowledged money"),
    ),
    "money in the queue that is the default": (
        {B: take(*QUEUE)},
        (B, "exporters::otlp_http/otlp::sending_queue", "its queue is in memory: acknowledged money"),
    ),
    "copies of money without a queue": (
        {B: put(*QUEUE, "enabled", value=False)},
        (B, "exporters::otlp_http/otlp::sending_queue", "it has no queue"),
    ),
    "a retry that gives up": (
        {B: put(*RETRY, "max_elapsed_time", value="300s")},
        (B, "exporters::otlp_http/otlp::retry_on_failure", "it gives up: money"),
    ),
    "a retry that gives up by default": (
        {B: take(*RETRY)},
        (B, "exporters::otlp_http/otlp::retry_on_failure", "it gives up: money"),
    ),
    "a queue on the path of record": (
        {B: take("exporters", "otlp_http/otlp_record", "sending_queue")},
        (B, "exporters::otlp_http/otlp_record::sending_queue", "order.* waits in a queue here"),
    ),
    "a retry on the path of record": (
        {B: put("exporters", "otlp_http/otlp_record", "retry_on_failure", "enabled", value=True)},
        (B, "exporters::otlp_http/otlp_record::retry_on_failure", "order.* is tried again here"),
    ),
    "a storage that does not run": (
        {B: put(*QUEUE, "storage", value="file_storage/other")},
        (B, "exporters::otlp_http/otlp::sending_queue::storage", "names the extension file_storage/other"),
    ),
    "a batch before the queue on disk": (
        {B: both(put("processors", "batch", value=None), put(*PIPELINES, "logs/otlp_events", "processors", value=["batch"]))},
        (B, "service::pipelines::logs/otlp_events::processors", "batch stands before the queue on disk"),
    ),
    "a batch before the fork": (
        {"base.yaml": both(put("processors", "batch", value=None), put(*PIPELINES, "logs/server_in", "processors", value=["batch"]))},
        ("base.yaml", "service::pipelines::logs/server_in::processors", "batch stands before the queue on disk"),
    ),
    "a privacy processor that lets pass": (
        {"allowlist.yaml": put("processors", "transform/allow_events", "error_mode", value="ignore")},
        ("allowlist.yaml", "processors::transform/allow_events::error_mode", "ignore: a record on which a statement fails passes"),
    ),
    "an allow-list of an older schema": (
        {"allowlist.yaml": forget_payment_kind},
        ("allowlist.yaml", "processors::transform/allow_events", f"is older than the schema {SCHEMA_VERSION}: it drops payment_kind"),
    ),
    "a backend beside the allow-list": (
        {B: put(*PIPELINES, "logs/otlp_events", "receivers", value=["otlp/server"])},
        (B, "service::pipelines::logs/otlp_events::receivers", "what otlp/server receives reaches otlp_http/otlp and no allow-list"),
    ),
    "a backend before the allow-list": (
        {B: put(*PIPELINES, "logs/otlp_events", "receivers", value=["forward/server_logs"])},
        (B, "service::pipelines::logs/otlp_events::receivers", "what otlp/server receives reaches otlp_http/otlp and no allow-list"),
    ),
    "a default that ends too early": (
        {B: put("exporters", "otlp_http/otlp", "headers", value="${env:H:-{}}")},
        (B, "exporters::otlp_http/otlp::headers", "a default with a brace in it"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_with_its_file_and_key(
    spoil: dict[str, Callable[[Content], Any]], fault: tuple[str, str, str]
) -> None:
    """A shipped file that was spoilt gives the finding, in that file, under that key."""
    told = found(*OTLP, spoil=spoil)

    assert [fault] == [
        (file, key, fault[2]) for file, key, what in told if (file, key) == fault[:2] and what.startswith(fault[2])
    ]


def test_each_fault_has_a_remedy() -> None:
    """Whatever is found, what to do about it is said."""
    layers = [Layer(name, LAYERS[name].content, LAYERS[name].required) for name in BACKENDS]

    assert [] == [fault for fault in faults(layers, {}, ATTRIBUTES, SCHEMA_VERSION) if not fault.remedy]


@pytest.mark.parametrize(
    ("files", "environ", "fault"),
    [
        (OTLP, {"REVENUE_RECORD": None}, ("base.yaml", "service::pipelines::logs/money_record::exporters::0", "needs REVENUE_RECORD")),
        (OTLP, {"REVENUE_RECORD": "nop"}, ("base.yaml", "service::pipelines::logs/money_record::exporters", "order.* has no backend of record")),
        (OTLP, {"REVENUE_RECORD": "otlp_http/typo"}, ("base.yaml", "service::pipelines::logs/money_record::exporters", "names otlp_http/typo")),
        (OTLP, {"REVENUE_RECORD": "otlp_http/otlp"}, (B, "exporters::otlp_http/otlp::sending_queue", "order.* waits in a queue here")),
        (OTLP, {"REVENUE_OTLP_URL": None}, (B, "exporters::otlp_http/otlp::endpoint", "needs REVENUE_OTLP_URL")),
        (OTLP, {"REVENUE_OTLP_URL": ""}, (B, "exporters::otlp_http/otlp::endpoint", "needs REVENUE_OTLP_URL")),
        (("base.yaml", B), {}, ("base.yaml", "service::pipelines::logs/money::processors", "names transform/allow_events")),
        (BASE, {}, ("base.yaml", "connectors::forward/money_copies", "has no consumer")),
    ],
    ids=["no record", "nop", "typo", "queued", "no URL", "empty URL", "no allow-list", "no backend"],
)  # fmt: skip
def test_what_is_missing_is_told(
    files: tuple[str, ...], environ: dict[str, str | None], fault: tuple[str, str, str]
) -> None:
    """A variable, a file or a backend that is missing, or the wrong one, is named where it is needed."""
    told = found(*files, **environ)

    assert [fault] == [
        (file, key, fault[2]) for file, key, what in told if (file, key) == fault[:2] and what.startswith(fault[2])
    ]


def test_asking_nobody_is_fine_while_a_queue_on_disk_has_the_money() -> None:
    """The queued path for senders without an outbox is no fault, unless no queue takes it."""
    queued = {"REVENUE_RECORD": "nop/queued"}
    spoil = {"backends/debug.yaml": put(*PIPELINES, "logs/debug_copies", value=COPIES)}
    printed = found(*BASE, "backends/debug.yaml", spoil=spoil, **queued)

    assert ([], True) == (
        found(*OTLP, **queued),
        any("no backend has a queue on disk" in what for _, _, what in printed),
    )


# -- the command ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def set_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The variables of base and one backend, and no Collector at hand; returns the files."""
    for name, value in environment(*OTLP).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("OTELCOL", raising=False)
    return [str(CONFIG / name) for name in OTLP]


def test_the_command_is_content_with_the_shipped_files(set_up: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, and a word on what was not looked at."""
    code = cli.main(["collector", "check", *set_up])
    said = capsys.readouterr().out

    assert (0, True, True) == (code, "OK    no fault found" in said, "SKIP  the Collector's own validate" in said)


def test_the_command_says_file_key_and_remedy(
    set_up: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, one line for the fault and one for the remedy."""
    monkeypatch.setenv("REVENUE_RECORD", "nop")
    code = cli.main(["collector", "check", *set_up])
    said = capsys.readouterr().out

    assert (1, True, True) == (
        code,
        f"FAIL  {set_up[0]}: service::pipelines::logs/money_record::exporters: order.* has no backend of record"
        in said,
        "-> REVENUE_RECORD: the exporter without a queue" in said,
    )


def test_the_command_speaks_to_programs(
    set_up: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --json each fault has its parts."""
    monkeypatch.delenv("REVENUE_OTLP_URL")
    code = cli.main(["collector", "check", "--json", "--no-validate", *set_up])
    said = json.loads(capsys.readouterr().out)

    assert (1, ["FAIL"], {"level", "file", "key", "what", "remedy"}, "SKIP") == (
        code,
        sorted({fault["level"] for fault in said["faults"]}),
        set(said["faults"][0]),
        said["validate"]["level"],
    )


def test_the_collectors_own_word_is_told_and_its_secrets_are_not(
    set_up: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where there is a Collector its `validate` is run, and what it quotes of the environment is masked."""
    program = tmp_path / "otelcol-revenue"
    program.write_text('#!/bin/sh\necho "cannot use $REVENUE_OTLP_HEADERS: Bearer c4n4ry-s3cr3t" >&2; exit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("OTELCOL", str(program))
    monkeypatch.setenv("REVENUE_OTLP_HEADERS", '{authorization: "Bearer c4n4ry-s3cr3t"}')
    code = cli.main(["collector", "check", *set_up])
    said = capsys.readouterr().out

    assert (1, True, False) == (code, "refuses it: cannot use ${REVENUE_OTLP_HEADERS}" in said, "c4n4ry" in said)


def test_without_an_action_the_command_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the actions."""
    code = cli.main(["collector"])
    said = capsys.readouterr().out

    assert (2, True) == (code, "{check,test}" in said)


@pytest.mark.parametrize(
    ("text", "told"),
    [("- a list", "expected keys and values"), ("a: [", "line 1"), ("\0", "not readable as YAML")],
    ids=["list", "open", "nul"],
)
def test_a_file_that_is_no_configuration_is_named(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, the file and what is wrong with it, without a traceback."""
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    code = cli.main(["collector", "check", str(file)])
    said = capsys.readouterr().err

    assert (2, True, True) == (code, str(file) in said, told in said)


def test_reading_yaml_needs_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without PyYAML the command says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    code = cli.main(["collector", "check", str(CONFIG / "base.yaml")])

    assert (2, True) == (code, 'pip install "otel-revenue[yaml]"' in capsys.readouterr().err)


TEXTS = {
    "${env:A}x": "onex",
    "${A}x": "onex",
    "${env:B:-two}": "two",
    "${env:A:-two}": "one",
    "${env:B:-${env:A:-x}}y": "oney",
    "${env:B:-${env:C:-x}}y": "xy",
    "$${env:A}": "${env:A}",
    "$$$${env:A}": "$${env:A}",
    "a$$b": "a$b",
    "${env:B}z": "z",
    "x${env:E}": "xone",
    "x${env:D}": "x${env:A}",
    "${env:B:-{}}z": "{}z",
}
VALUES = {"A": "one", "D": "$${env:A}", "E": "${env:A}"}


@pytest.mark.parametrize(("text", "expanded"), TEXTS.items())
def test_variables_are_put_in(text: str, expanded: str) -> None:
    """Defaults, nesting, escapes, and variables that name others."""
    assert expanded == _variables.expand(text, VALUES)


def test_a_variable_that_names_itself_ends() -> None:
    """What never becomes a value is left, and nothing hangs."""
    assert "${env:SELF}" == _variables.expand("${env:SELF}", {"SELF": "${env:SELF}"})


def test_the_collector_puts_variables_in_alike(tmp_path: Path) -> None:
    """The real Collector makes the same of the same texts."""
    resource = {f"t{number}": text for number, text in enumerate(TEXTS)}
    config = {
        "receivers": {"otlp": {"protocols": {"http": {}}}},
        "exporters": {"nop": None},
        "service": {
            "telemetry": {"resource": resource},
            "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["nop"]}},
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    said = ask("print-config", [tmp_path / "config.yaml"], VALUES).stdout
    made = yaml.safe_load(said)["service"]["telemetry"]["resource"]

    assert list(TEXTS.values()) == [made[f"t{number}"] for number in range(len(TEXTS))]


def test_what_is_masked_is_the_value_and_its_parts() -> None:
    """A key inside a larger value is masked as well; short words and other variables' are left."""
    said = _program.masked("x=Bearer abcdefgh, y=true", {"MY_TOKEN": "Bearer abcdefgh", "FLAG": "true"})

    assert "x=${MY_TOKEN}, y=true" == said
