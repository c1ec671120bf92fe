# SPDX-License-Identifier: Apache-2.0
"""docs/operate.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_revenue import cli
from otel_revenue.config import Settings
from otel_revenue.redaction import policies
from support.own_metrics import record_each

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "operate.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(otel_revenue\.[a-z_.]+)` \| (\S+) \| (?:process|store) \|([^|]*)\|", re.MULTILINE)


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    """Every metric is in the table, with its unit and labels, and nothing else is."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    record_each(provider.get_meter("test"))
    policies.observe(provider)
    policies.redactor(Settings()).text("ada@example.com")
    data = reader.get_metrics_data()
    provider.shutdown()
    assert data is not None
    found = {
        (metric.name, metric.unit, frozenset(point.attributes or {}))
        for of_resource in data.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        for point in metric.data.data_points
    }

    assert found == {
        (name, unit, frozenset(re.findall(r"`(\w+)`", labels))) for name, unit, labels in ROW.findall(PAGE)
    }


def test_every_command_on_the_page_is_taken(capsys) -> None:
    """Each `otel-revenue …` in a code block or in a table is a command with options that there are."""
    commands = {
        line.split("otel-revenue ", 1)[1].split("#")[0].strip()
        for line in re.findall(r"(?:\$ |`)[\w -]*otel-revenue (?:doctor|outbox)[^`\n]*", PAGE)
    }
    unknown = []
    for command in sorted(commands):
        words = command.replace("FOLDER", "/nowhere").replace(" N", " 1").split()
        try:
            code = cli.main([*words, "--store", "/nowhere/at/all", *(["--offline"] if words[0] == "doctor" else [])])
        except SystemExit:  # argparse: no such option
            code = -1
        if code not in (0, 1, 2) or "unrecognized" in capsys.readouterr().err:
            unknown.append(command)

    assert [] == unknown
    assert 5 < len(commands)
