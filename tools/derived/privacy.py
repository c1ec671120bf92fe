# SPDX-License-Identifier: Apache-2.0
"""docs/privacy.md: the text of its template, the schema as a map of data, the lists that the masking goes by, and what was measured."""

from __future__ import annotations

from pathlib import Path

from otel_revenue import config
from otel_revenue.privacy.keys import ENDS
from otel_revenue.privacy.semconv import HARMLESS, HARMLESS_PREFIXES
from otel_revenue.schema.events import EVENTS, CommonEvent
from otel_revenue.schema.fields import AttributeInfo, attributes_of
from otel_revenue.signals.spans import ORDER_CONTEXT

TEMPLATE = Path(__file__).with_name("privacy.template.md")
MEASURED = Path(__file__).parents[2] / "benchmarks" / "PRIVACY.md"


def outputs(mark: str) -> dict[str, str]:
    """Path and content of the page; *mark* is the line that says it is generated."""
    page = TEMPLATE.read_text(encoding="utf-8")
    days = config.KEYS["retention"].default // 86400
    parts = {
        "mark": f"<!-- {mark} -->",
        "attributes": "\n".join(_attributes()),
        "names": "\n".join(_names()),
        "harmless": ", ".join(
            f"`{name}`" for name in [*sorted(HARMLESS), *(f"{begin}*" for begin in HARMLESS_PREFIXES)]
        ),
        "retention": f"{days} days",
        "detectors": MEASURED.read_text(encoding="utf-8").strip(),
    }
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    return {"docs/privacy.md": page}


def _attributes() -> list[str]:
    found: dict[str, tuple[AttributeInfo, list[str]]] = {}
    for event in EVENTS:
        for wire, info in attributes_of(event).items():
            found.setdefault(wire, (info, []))[1].append(event.event_name)
    common = attributes_of(CommonEvent)
    rows = ["| attribute | why | sensitivity | on |", "|---|---|---|---|"]
    for wire, (info, events) in found.items():
        where = ["all events"] if wire in common else [f"`{name}`" for name in events]
        where += ["spans of the request"] if wire in ORDER_CONTEXT else []
        where += ["our metrics"] if info.metric_label else []
        cells = (f"`{wire}`", info.meaning, info.sensitivity.value, ", ".join(where))
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return rows


def _names() -> list[str]:
    kinds: dict[str, list[str]] = {}
    for end, kind in ENDS.items():
        kinds.setdefault(kind, []).append(end)
    rows = ["| masked as | names that end in |", "|---|---|"]
    return rows + [f"| `[{kind}]` | {', '.join(ends)} |" for kind, ends in kinds.items()]
