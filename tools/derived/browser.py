# SPDX-License-Identifier: Apache-2.0
"""What a visitor's browser may say: for the browser's module, for its types, and for the route that takes it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_revenue.browser.limits import MAX_BODY, MAX_EVENTS
from otel_revenue.privacy.clip import LIMIT
from otel_revenue.schema.events import EVENTS
from otel_revenue.schema.fields import Kind, attributes_of

if TYPE_CHECKING:
    from otel_revenue.schema.fields import AttributeInfo

FOLDER: Final = "src/otel_revenue/browser"
HERE: Final = Path(__file__).resolve().parent
_COMMENT: Final = re.compile(r"\s*(?://|/\*\*|\*)")
_TYPES: Final = {Kind.COUNT: "number", Kind.FLAG: "true", Kind.IDS: "string[]"}


def outputs(mark: str) -> dict[str, str]:
    """Return the files below the browser's folder."""
    return {
        f"{FOLDER}/otel-revenue.js": _module(mark),
        f"{FOLDER}/otel-revenue.d.ts": _types(mark),
        f"{FOLDER}/_allowed.py": _table(mark),
    }


def allowed() -> dict[str, dict[str, AttributeInfo]]:
    """Return the attributes that a browser may say, by event."""
    return {
        event.event_name: {wire: info for wire, info in attributes_of(event).items() if info.browser}
        for event in EVENTS
        if event.from_browser
    }


def _module(mark: str) -> str:
    """Return the module as it is shipped: every visitor fetches it, so that whole lines of comment stay here."""
    kinds = {wire: info.kind.value for attributes in allowed().values() for wire, info in attributes.items()}
    source = (HERE / "browser.js").read_text(encoding="utf-8").splitlines()
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// {mark}",
        "const EVENTS = {",
        *(f'  "{name}": "{" ".join(attributes)}",' for name, attributes in allowed().items()),
        "};",
        f"const KINDS = {{ {', '.join(f'{wire}: {json.dumps(kind)}' for wire, kind in kinds.items() if kind != 'id')} }};",
        f"const MAX_TEXT = {LIMIT}, MAX_EVENTS = {MAX_EVENTS}, MAX_BODY = {MAX_BODY};",
        *(line for line in source if line and not _COMMENT.match(line)),
    ]
    return "\n".join([*lines, ""])


def _types(mark: str) -> str:
    names = {event.event_name: event.__name__ for event in EVENTS}
    lines = ["// SPDX-License-Identifier: Apache-2.0", f"// {mark}", ""]
    for name, attributes in allowed().items():
        lines += [f"/** `{name}`: what a browser may say of it. */", f"export interface {names[name]} {{"]
        for wire, info in attributes.items():
            lines += [f"  /** {info.meaning} */", f"  {wire}?: {_TYPES.get(info.kind, 'string')};"]
        lines += ["}", ""]
    lines += ["/** Every event that a browser may send, with its attributes. */", "export interface BrowserEvents {"]
    lines += [f'  "{name}": {names[name]};' for name in allowed()]
    lines += ["}", "", (HERE / "browser.d.ts").read_text(encoding="utf-8")]
    return "\n".join(lines)


def _table(mark: str) -> str:
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        f'"""{mark}"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Final",
        "",
        "ALLOWED: Final[dict[str, frozenset[str]]] = {",
    ]
    for name, attributes in allowed().items():
        lines += [
            f'    "{name}": frozenset(',
            "        {",
            *(f'            "{wire}",' for wire in sorted(attributes)),
            "        }",
            "    ),",
        ]
    return "\n".join([*lines, "}", ""])
