# SPDX-License-Identifier: Apache-2.0
"""What is generated: up to date, marked, complete, valid; and what is stale is refused."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from otel_revenue import cli, config
from otel_revenue.schema.documents import json_schema
from otel_revenue.schema.events import EVENTS, SCHEMA_VERSION
from otel_revenue.schema.fields import Kind, attributes_of
from otel_revenue.signals import record
from otel_revenue.signals.otlp_decode import decode_log_record
from support.json_schema import errors

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "analytics-events.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def generate():
    """The tool, as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "tools" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.fixture
def copy(generate, tmp_path):
    """A folder with everything that is generated, up to date."""
    assert generate.main([], tmp_path) == 0
    return tmp_path


def test_the_repository_is_up_to_date(generate, capsys):
    """
    What is committed is what the sources give.
    """
    assert (0, "everything is up to date\n") == (generate.main(["--check"]), capsys.readouterr().out)


def test_every_output_goes_stale(generate, copy, capsys):
    """
    A change in any generated file makes the check fail, and name that file and the remedy.
    """
    told = {}
    for name, content in generate.outputs().items():
        (copy / name).write_text(content + " ", encoding="utf-8")
        told[name] = (generate.main(["--check"], copy), capsys.readouterr().err)
        (copy / name).write_text(content, encoding="utf-8")

    assert {name: (1, f"stale: {name}; run: python tools/generate.py\n") for name in generate.outputs()} == told


def test_a_missing_file_and_one_too_many_are_stale(generate, copy, capsys):
    """
    A file that was deleted, and the schema of an event that is no more, make the check fail; writing mends both.
    """
    (copy / "docs/settings.md").unlink()
    (copy / "schema/order.gone.json").write_text("{}")
    checked, said = generate.main(["--check"], copy), capsys.readouterr().err
    mended = (generate.main([], copy), generate.main(["--check"], copy))

    assert (1, "stale: docs/settings.md, schema/order.gone.json; run: python tools/generate.py\n", (0, 0), False) == (
        checked, said, mended, (copy / "schema/order.gone.json").exists(),
    )  # fmt: skip


def test_a_check_writes_nothing(generate, tmp_path):
    """
    `--check` compares, and leaves no file.
    """
    assert (1, []) == (generate.main(["--check"], tmp_path), list(tmp_path.iterdir()))


def test_every_output_is_marked_as_generated(generate):
    """
    Whoever opens a generated file reads, in its first lines, that it is one and how it is made.
    """
    assert [] == [
        name for name, text in generate.outputs().items() if generate.MARK not in "".join(text.splitlines()[:4])
    ]


def test_disagreement_between_events_stops_the_tool(generate, tmp_path, monkeypatch, capsys):
    """
    Two events that declare one name differently are refused before anything is written.
    """
    monkeypatch.setattr(generate.lint, "disagreements", lambda _: ["x: b declares it differently from a"])

    assert (1, [], "x: b declares it differently from a\n") == (
        generate.main([], tmp_path), list(tmp_path.iterdir()), capsys.readouterr().err,
    )  # fmt: skip


def sections() -> dict[str, str]:
    """Return the text of each event's section of the page."""
    parts = re.split(
        r"^### `([a-z_.]+)`$",
        PAGE.partition("## The events")[2].partition("## One whole record")[0],
        flags=re.MULTILINE,
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_page_shows_every_event_with_every_attribute():
    """
    For every event, every attribute stands in its own table or in the table of common keys, with its meaning.
    """
    common = PAGE.partition("## Keys that every event may carry")[2].partition("## The events")[0]
    absent = [
        (event.event_name, wire)
        for event in EVENTS
        for wire, info in attributes_of(event).items()
        if not any(f"| `{wire}`" in part and info.meaning in part for part in (common, sections()[event.event_name]))
    ]

    assert ([event.event_name for event in EVENTS], []) == (list(sections()), absent)


@pytest.mark.parametrize("name", [event.event_name for event in EVENTS])
def test_the_sample_of_an_event_is_valid_and_passes_the_gate(name):
    """
    The payload that the page shows is valid by the published schema, and leaves the gate unchanged.
    """
    shown = json.loads(re.search(r"```json\n(.*?)```", sections()[name], re.DOTALL)[1])

    assert ([], (shown, []), SCHEMA_VERSION) == (
        errors(name, shown),
        record.prepare(name, shown),
        shown["schema_version"],
    )


def plain(value: dict):
    """Return what an OTLP/JSON `AnyValue` holds."""
    ((kind, held),) = value.items()
    if kind == "arrayValue":
        return [plain(item) for item in held["values"]]
    return int(held) if kind == "intValue" else held


def test_the_whole_record_is_what_the_encoder_writes():
    """
    The OTLP/JSON record of the page says, field by field, what our own encoder's bytes say; its attributes are valid.
    """
    shown = json.loads(re.search(r"## One whole record.*?```json\n(.*?)```", PAGE, re.DOTALL)[1])
    attributes = {entry["key"]: plain(entry["value"]) for entry in shown["attributes"]}
    trace = (int(shown["traceId"], 16), int(shown["spanId"], 16), shown["flags"])
    times = (int(shown["timeUnixNano"]), int(shown["observedTimeUnixNano"]))
    sent = decode_log_record(
        record.encode(shown["eventName"], attributes, time_ns=times[0], observed_ns=times[1], ids=trace)
    )

    assert ([], attributes, times, trace, shown["eventName"], shown["severityNumber"], shown["severityText"]) == (
        errors(shown["eventName"], attributes), sent.attributes, (sent.time_ns, sent.observed_ns),
        (sent.trace_id, sent.span_id, sent.flags), sent.event_name, sent.severity_number, sent.severity_text,
    )  # fmt: skip


def test_the_sums_of_the_sample_add_up():
    """
    The sample of `order.paid` is an order that could be: subtotal - discount + tax + shipping = amount.
    """
    shown = json.loads(re.search(r"```json\n(.*?)```", sections()["order.paid"], re.DOTALL)[1])
    parts = shown["subtotal_minor"] - shown["discount_minor"] + shown["tax_minor"] + shown["shipping_minor"]

    assert shown["amount_minor"] == parts


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.event_name)
def test_command_and_file_show_one_schema(event, capsys):
    """
    `otel-revenue schema EVENT` prints what `schema/EVENT.json` holds.
    """
    code = cli.main(["schema", event.event_name])
    printed = json.loads(capsys.readouterr().out)
    published = json.loads((ROOT / "schema" / f"{event.event_name}.json").read_text(encoding="utf-8"))
    del published["$comment"]

    assert (0, published, published) == (code, printed, json_schema(event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.event_name)
def test_the_published_schema_refuses_what_the_gate_refuses(event):
    """
    The published schema is closed, and says of each attribute its meaning, sensitivity and bounds.
    """
    published = json_schema(event)
    examples = {wire: info.example for wire, info in attributes_of(event).items()}
    wrong = {
        Kind.ID: "", Kind.LABEL: "x" * 255, Kind.CODE: "?", Kind.COUNT: -1, Kind.MINOR: 1.5, Kind.MAJOR: "1", Kind.FLAG: 1, Kind.IDS: [""],
    }  # fmt: skip
    taken = [w for w, i in attributes_of(event).items() if not errors(event.event_name, {**examples, w: wrong[i.kind]})]

    assert ([], [], False, True) == (
        errors(event.event_name, examples), taken, published["additionalProperties"], "customer_email" not in published["properties"],
    )  # fmt: skip


def test_the_settings_page_shows_every_setting():
    """
    Every setting stands on its page with variable, key, meaning, shape and example.
    """
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `OTEL_REVENUE_")}
    metas = {field.metadata["env"]: (key, field.metadata) for key, field in config.KEYS.items()}

    assert (sorted(metas), []) == (
        sorted(rows),
        [
            name
            for name, (key, meta) in metas.items()
            if not all(
                part in rows[name] for part in (f"`{key}`", meta["meaning"], meta["shape"], f"`{meta['example']}`")
            )
        ],
    )


@pytest.mark.parametrize("key", config.KEYS)
def test_the_default_on_the_settings_page_is_the_default(key):
    """
    Whoever writes the default of the page into the variable gets what holds without it.
    """
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if f"| `{key}` |" in line)
    shown = row.split(" | ")[2].strip("`")
    default = config.KEYS[key].default
    read = config.KEYS[key].metadata["parse"](shown) if shown != "see meaning" else type(default)()

    assert default == read
