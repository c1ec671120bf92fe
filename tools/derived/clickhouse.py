# SPDX-License-Identifier: Apache-2.0
"""collector-config/clickhouse/schema.sql: the table that the Collector's exporter writes to, with one typed column per attribute."""

from __future__ import annotations

from pathlib import Path

from otel_revenue.schema.events import EVENTS, SCHEMA_VERSION
from otel_revenue.schema.fields import AttributeInfo, Kind, attributes_of

TEMPLATE = Path(__file__).with_name("clickhouse.template.sql")

COLUMNS: dict[Kind, tuple[str, str]] = {
    Kind.ID: ("Nullable(String)", "nullIf({}, '')"),
    Kind.LABEL: ("LowCardinality(Nullable(String))", "nullIf({}, '')"),
    Kind.CODE: ("LowCardinality(Nullable(String))", "nullIf({}, '')"),
    Kind.COUNT: ("Nullable(Int64)", "toInt64OrNull({})"),
    Kind.MINOR: ("Nullable(Int64)", "toInt64OrNull({})"),
    Kind.MAJOR: ("Nullable(Float64)", "toFloat64OrNull({})"),
    Kind.FLAG: ("Nullable(Bool)", "multiIf({0} = 'true', true, {0} = 'false', false, NULL)"),
    Kind.IDS: ("Array(String)", "JSONExtract({}, 'Array(String)')"),
}
"""Per kind the column's type, and its value out of the map of texts that the exporter writes. Absent is NULL, never 0."""


def outputs(mark: str) -> dict[str, str]:
    """Path and content of the file; *mark* is the line that says it is generated."""
    declared = {wire: info for event in EVENTS for wire, info in attributes_of(event).items() if wire != "event_id"}
    script = TEMPLATE.read_text(encoding="utf-8")
    return {
        "collector-config/clickhouse/schema.sql": script.replace("{{mark}}", mark)
        .replace("{{version}}", SCHEMA_VERSION)
        .replace("{{columns}}", ",\n".join(map(_column, declared.values())))
        .replace("{{names}}", ",\n".join(f"  {_name(wire)}" for wire in declared))
    }


def _column(info: AttributeInfo) -> str:
    kind, value = COLUMNS[info.kind]
    source = f"LogAttributes['{info.wire}']"
    meaning = info.meaning.replace("'", "''")
    return f"  ADD COLUMN IF NOT EXISTS {_name(info.wire)} {kind} MATERIALIZED {value.format(source)}\n    COMMENT '{meaning}'"


def _name(wire: str) -> str:
    """A dot in a name would have to be quoted in every query."""
    return wire.replace(".", "_")
