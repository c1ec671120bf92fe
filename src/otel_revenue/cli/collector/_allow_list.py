# SPDX-License-Identifier: Apache-2.0
"""
The Collector's privacy layer, made from the schema: what may pass, in which type, and what is masked. Pure.

It holds processors alone, whole ones, and base.yaml names them: a Collector that is started without this file refuses to start.
Every statement is one that cannot fail on any type of value, and `error_mode: propagate` refuses what a failing one would let by.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.schema.events import EVENTS
from otel_revenue.schema.fields import AttributeInfo, Kind, attributes_of

from . import _patterns as patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Events = Mapping[str, Mapping[str, AttributeInfo]]

LIMIT: Final = 254
"""Bytes of a string; the application cuts at as many characters."""

HEAD: Final = """\
# SPDX-License-Identifier: Apache-2.0
# {mark}
#
# What may pass, and in which form: allow-lists and masks for events, spans, ordinary logs and metrics, and for what browsers send.
# base.yaml names these processors and defines none of them, so that a Collector without this file does not start.
"""

RESOURCE: Final = (
    "service.name service.namespace service.version service.instance.id deployment.environment.name deployment.environment "
    "telemetry.sdk.name telemetry.sdk.language telemetry.sdk.version telemetry.distro.name telemetry.distro.version "
    "cloud.provider cloud.platform cloud.region cloud.availability_zone faas.name faas.version container.id container.name "
    "k8s.cluster.name k8s.namespace.name k8s.node.name k8s.pod.name k8s.pod.uid k8s.container.name k8s.deployment.name "
    "k8s.statefulset.name k8s.daemonset.name k8s.job.name k8s.cronjob.name"
).split()
"""What names the service and where it runs: no command lines, no host names (people name their machines after themselves)."""

TEXTS: Final = (
    "http.request.method http.route http.method url.scheme url.template network.protocol.name network.protocol.version "
    "network.transport server.address error.type exception.type rpc.system rpc.service rpc.method rpc.grpc.status_code "
    "db.system db.system.name db.namespace db.name db.operation db.operation.name db.collection.name "
    "messaging.system messaging.operation.name messaging.operation.type messaging.destination.name "
    "faas.trigger code.function code.function.name code.namespace code.filepath code.file.path thread.name "
    "log.iostream logger.name otel.status_code peer.service "
    "stripe.request_id stripe.error.code stripe.decline_code stripe.api_version"
).split()
NUMBERS: Final = (
    "http.response.status_code http.status_code server.port http.request.body.size http.response.body.size http.request.resend_count "
    "db.response.returned_rows messaging.batch.message_count code.lineno code.line.number thread.id"
).split()
FLAGS: Final = ("stripe.idempotent_replayed",)
"""Attributes of OpenTelemetry's semantic conventions, and of our spans, that name code and machines: no URL, query, address of a client, or user."""

FREE_OF_SEARCH: Final = ("service.version", "telemetry.sdk.version", "telemetry.distro.version", "server.address")
"""Keys whose values have one safe form, in which versions and addresses of servers would be taken for those of visitors."""

UID: Final = "log.record.uid"
"""The random id that the browser's module gives an event: the same each time that it is sent."""

_UID: Final = f'log.attributes["{UID}"]'
_UUID_OF_HASH: Final = (
    f'Concat([Substring({_UID}, 0, 8), Substring({_UID}, 8, 4), Concat(["8", Substring({_UID}, 12, 3)], ""), '
    f'Concat(["8", Substring({_UID}, 15, 3)], ""), Substring({_UID}, 18, 12)], "-")'
)
"""A UUIDv8 (RFC 9562): ids of payments are of version 5, and none that a visitor can compute becomes one."""

OF_BROWSERS: Final = (
    'set(log.attributes["telemetry.source"], "browser")',
    'set(log.attributes["event_id"], UUID())',
    f'delete_key(log.attributes, "{UID}") where not (IsString({_UID}) and IsMatch({_UID}, "^[0-9a-f]{{32}}$"))',
    f'set({_UID}, SHA256(Concat(["otel-revenue browser event", {_UID}], " "))) where {_UID} != nil',
    f'set(log.attributes["event_id"], {_UUID_OF_HASH}) where {_UID} != nil',
    f'delete_key(log.attributes, "{UID}")',
)

OF_THE_SCHEMA: Final = {event.event_name: attributes_of(event) for event in EVENTS}


def document(mark: str, own: Events | None = None) -> str:
    """
    Return the file.

    Args:
        mark: a sentence that says who wrote it.
        own: events of the application's own by name, with their attributes.

    Raises:
        ImportError: pyyaml is not installed.
    """
    import yaml

    content = {"processors": processors({**OF_THE_SCHEMA, **(own or {})})}
    text = yaml.safe_dump(content, sort_keys=False, width=2**31, allow_unicode=True)
    return HEAD.format(mark=mark) + re.sub(r"\$(?!{env:)", "$$", text)


def processors(events: Events) -> dict[str, Any]:
    """Return every processor of the layer, before dollar signs are doubled as the Collector wants it."""
    declared = {wire: info for attributes in events.values() for wire, info in attributes.items()}
    browser = {wire: info for wire, info in declared.items() if info.browser or wire == "schema_version"}
    money, funnel = patterns.of_families(events)
    from_browser = patterns.one_of(event.event_name for event in EVENTS if event.from_browser)
    # Ours alone: the pattern of somebody else's code may let anything be.
    codes = {wire: None for part in OF_THE_SCHEMA.values() for wire, info in part.items() if info.kind is Kind.CODE}
    return {
        "filter/keep_money": _drop(_name_is_not(money)),
        "filter/keep_funnel": _drop(_name_is_not(funnel)),
        "filter/drop_events": _drop(_name_is(money), _name_is(funnel)),
        "filter/keep_browser_events": _drop(_name_is_not(from_browser)),
        "transform/allow_events": _logs(_event(declared)),
        "transform/allow_browser": _logs([*_event(browser, (UID,)), *OF_BROWSERS]),
        "transform/allow_other": _logs(_other()),
        "transform/allow_spans": _traces(events, declared),
        "transform/allow_metrics": _metrics(),
        "redaction/values": _redaction([*codes, *FREE_OF_SEARCH]),
        "redaction/open": _redaction(),
        "transform/clip": _clip(declared),
    }


def _drop(*conditions: str) -> dict[str, Any]:
    return {"error_mode": "propagate", "log_conditions": list(conditions)}


def _name_is(pattern: str) -> str:
    return f"IsMatch(log.event_name, {patterns.quoted(pattern)})"


def _name_is_not(pattern: str) -> str:
    return f"not {_name_is(pattern)}"


def _no_name(path: str, pattern: str) -> str:
    """Return the condition that what should name code does not, or may name a person: nothing masks names."""
    return (
        f"not IsMatch({path}, {patterns.quoted(pattern)}) or IsMatch({path}, {patterns.quoted(patterns.LONG_NUMBER)})"
    )


def _logs(statements: list[str]) -> dict[str, Any]:
    groups = [{"statements": part} for part in (_resource(), _scope(), statements)]
    return {"error_mode": "propagate", "log_statements": groups}


def _resource() -> list[str]:
    return [
        'set(resource.schema_url, "")',
        *_only("resource.attributes", RESOURCE),
        *_texts("resource.attributes", RESOURCE),
    ]


def _scope() -> list[str]:
    return [
        'set(scope.schema_url, "")',
        _keep("scope.attributes", ()),
        f'set(scope.name, "other") where {_no_name("scope.name", patterns.SCOPE_NAME)}',
        f'set(scope.version, "") where not IsMatch(scope.version, {patterns.quoted(patterns.SCOPE_VERSION)})',
    ]


def _event(declared: dict[str, AttributeInfo], more: Iterable[str] = ()) -> list[str]:
    return [
        *_only("log.attributes", (*declared, *more)),
        *_rules("log.attributes", declared),
        'set(log.body, "")',
        'set(log.severity_text, "")',
        # Several backends show attributes alone.
        'set(log.attributes["event.name"], log.event_name)',
    ]


def _other() -> list[str]:
    return [
        *_technical("log.attributes"),
        # A structured body has keys that no list knows, and bytes that no pattern reads.
        'set(log.body, "") where not IsString(log.body)',
        f'set(log.severity_text, "") where not IsMatch(log.severity_text, {patterns.quoted(patterns.SEVERITY)})',
        f'set(log.event_name, "") where {_no_name("log.event_name", patterns.SCOPE_NAME)}',
    ]


def _traces(events: Events, declared: dict[str, AttributeInfo]) -> dict[str, Any]:
    known = patterns.one_of((*events, "exception"))
    span = [
        *_technical("span.attributes", declared),
        'set(span.status.message, "")',
        f'set(span.trace_state, "") where not IsMatch(span.trace_state, {patterns.quoted(patterns.SAMPLING)})',
        *(f'replace_pattern(span.name, {patterns.quoted(blocked)}, "{{masked}}")' for blocked in patterns.BLOCKED),
        # No statement reaches into a link, and whoever made it may have written anything onto it.
        'set(span.links, nil) where "${env:REVENUE_SPAN_LINKS:-drop}" != "keep"',
    ]
    event = [
        f'set(spanevent.name, "other") where not IsMatch(spanevent.name, {patterns.quoted(known)})',
        *_only("spanevent.attributes", (*declared, "exception.type")),
        _unless("spanevent.attributes", "exception.type", "IsString({})"),
        *_rules("spanevent.attributes", declared),
    ]
    groups = [{"statements": part} for part in (_resource(), _scope(), span, event)]
    return {"error_mode": "propagate", "trace_statements": groups}


def _metrics() -> dict[str, Any]:
    metric = [
        f'set(metric.name, "other") where {_no_name("metric.name", patterns.METRIC_NAME)}',
        f'set(metric.unit, "") where not IsMatch(metric.unit, {patterns.quoted(patterns.UNIT)})',
        'set(metric.description, "")',
        _keep("metric.metadata", ()),
    ]
    point = [
        # An application's own metrics have keys that no list knows, and without them its series would fall together.
        "flatten(datapoint.attributes)",
        'delete_matching_keys(datapoint.attributes, "@")',
        "set(datapoint.exemplars, nil) where metric.type != METRIC_DATA_TYPE_SUMMARY",
    ]
    groups = [{"statements": part} for part in (_resource(), _scope(), metric, point)]
    return {"error_mode": "propagate", "metric_statements": groups}


def _clip(declared: Mapping[str, AttributeInfo]) -> dict[str, Any]:
    """
    Return what is done when masks are in place: earlier, a cut inside of an address would leave what no pattern knows.

    An id is whole or it is not there, as in the application: half-masked ones would fall together. Lists are lists again.
    """
    lists = [wire for wire, info in declared.items() if info.kind is Kind.IDS]
    whole = [*lists, *(wire for wire, info in declared.items() if info.kind is Kind.ID)]

    def statements(path: str) -> list[str]:
        values = [f'{path}["{key}"]' for key in lists]
        return [
            *(f'delete_key({path}, "{key}") where IsMatch({path}["{key}"], "[*]{{4}}")' for key in whole),
            *(f"set({value}, ParseJSON({value})) where IsString({value})" for value in values),
            f"truncate_all({path}, {LIMIT})",
        ]

    return {
        "error_mode": "propagate",
        "log_statements": [{"statements": statements("log.attributes")}],
        "trace_statements": [{"statements": statements(path)} for path in ("span.attributes", "spanevent.attributes")],
    }


def _technical(path: str, declared: dict[str, AttributeInfo] | None = None) -> list[str]:
    declared = declared or {}
    return [
        *_only(path, (*TEXTS, *NUMBERS, *FLAGS, *declared)),
        *_texts(path, TEXTS),
        *(_unless(path, key, "IsInt({})") for key in NUMBERS),
        *(_unless(path, key, "IsBool({})") for key in FLAGS),
        *_rules(path, declared),
    ]


def _only(path: str, keys: Iterable[str]) -> list[str]:
    """Return the statements that keep these keys, each once: a condition sees the first of two values, a backend perhaps the other."""
    cache = f"{path.partition('.')[0]}.cache"
    return [_keep(path, keys), f'merge_maps({cache}, {path}, "insert")', f"set({path}, {cache})"]


def _texts(path: str, keys: Iterable[str]) -> list[str]:
    form = f"IsString({{}}) and IsMatch({{}}, {patterns.quoted(patterns.MACHINE)})"
    return [_unless(path, key, form if key in FREE_OF_SEARCH else "IsString({})") for key in keys]


def _rules(path: str, declared: Mapping[str, AttributeInfo]) -> list[str]:
    rules = [_rule(path, info) for info in declared.values()]
    # Lists are text until `_clip`: masks read text alone, and bytes within a list look like text to every condition.
    lists = [f'{path}["{wire}"]' for wire, info in declared.items() if info.kind is Kind.IDS]
    return [*rules, *(f"set({value}, String({value})) where {value} != nil" for value in lists)]


def _rule(path: str, info: AttributeInfo) -> str:
    """Return the statement that removes an attribute which is not what the schema says."""
    if info.kind is Kind.CODE:
        return _unless(path, info.wire, f"IsString({{}}) and IsMatch({{}}, {patterns.quoted(f'^(?:{info.pattern})$')})")
    if info.kind is Kind.IDS:
        shape = f"IsMatch(String({{}}), {patterns.quoted(patterns.LIST_OF_TEXTS)})"
        return _unless(path, info.wire, f"IsList({{}}) and {shape} and Len(String({{}})) <= {4 * LIMIT}")
    return _unless(path, info.wire, _TYPES[info.kind])


_TYPES: Final = {
    Kind.ID: "IsString({})",
    Kind.LABEL: "IsString({})",
    Kind.COUNT: "IsInt({})",
    Kind.MINOR: "IsInt({})",
    Kind.MAJOR: "(IsDouble({}) or IsInt({}))",
    Kind.FLAG: "IsBool({})",
}


def _keep(path: str, keys: Iterable[str]) -> str:
    return f"keep_keys({path}, [{', '.join(patterns.quoted(key) for key in keys)}])"


def _unless(path: str, key: str, condition: str) -> str:
    """Return the statement that removes *key* unless *condition* holds, in which `{}` stands for its value."""
    value = f'{path}["{key}"]'
    return f'delete_key({path}, "{key}") where not ({condition.replace("{}", value)})'


def _redaction(ignored: Iterable[str] = ()) -> dict[str, Any]:
    keys = {"ignored_keys": list(ignored)} if ignored else {}
    return {
        "allow_all_keys": True,
        **keys,
        "allowed_values": [patterns.PLAIN],
        "blocked_values": list(patterns.BLOCKED),
        "summary": "silent",
    }
