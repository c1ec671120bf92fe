# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue collector check` over the files of collector-config/: nothing to find in them, and each fault in a spoilt copy."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.cli.collector._layers import Layer
from otel_revenue.cli.collector._rules import faults
from otel_revenue.schema.events import EVENTS, SCHEMA_VERSION
from otel_revenue.schema.fields import attributes_of
from support.collector import BASE, CONFIG, ask
from support.layers import BACKENDS, LAYERS, OTLP, environment

if TYPE_CHECKING:
    from collections.abc import Callable

ATTRIBUTES = {name for event in EVENTS for name in attributes_of(event)}
Content = dict[str, Any]


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
        {B: put(*PIPELINES, "logs/events", "processors", value=["filter/keep_funnel"])},
        (B, "service::pipelines::logs/events::processors", "restates a list of base.yaml"),
    ),
    "a backend overrides a scalar of base": (
        {B: put("processors", "memory_limiter", "limit_mib", value=1024)},
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
        (B, "service::pipelines::logs/otlp_events::processors", "batch answers before"),
    ),
    "a batch before the fork": (
        {"base.yaml": both(put("processors", "batch", value=None), put(*PIPELINES, "logs/server_in", "processors", value=["batch"]))},
        ("base.yaml", "service::pipelines::logs/server_in::processors", "batch answers before"),
    ),
    "a batch before the backend of record": (
        {"base.yaml": both(put("processors", "batch", value=None), put(*PIPELINES, "logs/money_record", "processors", value=["batch"]))},
        ("base.yaml", "service::pipelines::logs/money_record::processors", "batch answers before otlp_http/otlp_record does"),
    ),
    "a backend that looks on at money": (
        {B: put(*PIPELINES, "logs/otlp_events", "receivers", value=["forward/events", "forward/money_watch"])},
        (B, "service::pipelines::logs/otlp_events", "only looks on at order.*, and a failure of otlp_http/otlp is answered"),
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


REFUSED_BY_THE_COLLECTOR = {
    "a backend sets a map of base to null",  # as it happens: this one has no usable default
    "a forward point without a consumer",
    "a forward point that nothing feeds",
    "an exporter that no file defines",
    "a default that ends too early",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_collectors_own_validate_refuses_what_is_said_not_to_start(kind: str, tmp_path: Path) -> None:
    """The real Collector refuses these faults and no others: the rest would be rolled out."""
    spoil, _ = FAULTS[kind]
    for name in OTLP:
        content = copy.deepcopy(dict(LAYERS[name].content))
        spoil.get(name, lambda _: None)(content)
        (tmp_path / Path(name).name).write_text(yaml.safe_dump(content))
    said = ask("validate", [tmp_path / Path(name).name for name in OTLP], environment(*OTLP))

    assert (kind in REFUSED_BY_THE_COLLECTOR) == bool(said.returncode), said.stderr


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=8),
    st.sampled_from(["${env:A}", "$${", "${env:A:-${env:B}}"]),
)
NAMES = st.sampled_from(
    [
        "otlp",
        "otlp/server",
        "forward/money",
        "forward/events",
        "batch",
        "nop",
        "file/x",
        "logs/a",
        "sending_queue",
        "storage",
    ]
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
SECTIONS = ("receivers", "processors", "exporters", "connectors", "extensions", "service", "other")
FILES = st.dictionaries(
    st.sampled_from(SECTIONS),
    st.one_of(TREES, st.dictionaries(NAMES, TREES, max_size=3), st.fixed_dictionaries({"pipelines": TREES})),
)


@given(files=st.lists(FILES, max_size=3))
@settings(max_examples=100)
def test_whatever_stands_in_a_file_the_check_ends(files: list[Content]) -> None:
    """No shape of YAML makes the check itself fail, or leaves a finding without a remedy."""
    layers = [Layer(f"{number}.yaml", content) for number, content in enumerate(files)]

    assert [] == [
        fault for fault in faults([*layers, LAYERS["base.yaml"]], {}, ATTRIBUTES, SCHEMA_VERSION) if not fault.remedy
    ]


def test_the_page_says_how_many_the_collector_lets_pass() -> None:
    """The figure of docs/collector-checks.md is that of these tests."""
    page = (CONFIG.parent / "docs" / "collector-checks.md").read_text(encoding="utf-8")

    assert f"accepts {len(FAULTS) - len(REFUSED_BY_THE_COLLECTOR)} of the {len(FAULTS)} faults" in page


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


def test_metrics_of_money_that_can_fail_are_told() -> None:
    """Metrics that are made of payments stand behind a batch processor, or their backend's failure is the payment's answer."""
    key = "service::pipelines::metrics/revenue"
    unbatched = {"metrics.yaml": put(*key.split("::"), "processors", value=["delta_to_cumulative/revenue"])}
    told = [file_and_key[:2] for file_and_key in found(*OTLP, "metrics.yaml", spoil=unbatched)]

    assert [("metrics.yaml", key)] == told


def test_a_queue_that_waits_for_the_result_is_an_answer() -> None:
    """The exporter of record may have a queue, if it passes on what its backend says."""
    waiting = put("exporters", "otlp_http/otlp_record", "sending_queue", value={"wait_for_result": True})

    assert [] == found(*OTLP, spoil={B: waiting})


def test_asking_nobody_is_fine_while_a_queue_on_disk_has_the_money() -> None:
    """The queued path for senders without an outbox is no fault, unless no queue takes it."""
    queued = {"REVENUE_RECORD": "nop/queued"}
    spoil = {"backends/debug.yaml": put(*PIPELINES, "logs/debug_copies", value=COPIES)}
    printed = found(*BASE, "backends/debug.yaml", spoil=spoil, **queued)

    assert ([], True) == (
        found(*OTLP, **queued),
        any("no backend has a queue on disk" in what for _, _, what in printed),
    )
