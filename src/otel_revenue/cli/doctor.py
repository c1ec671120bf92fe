# SPDX-License-Identifier: Apache-2.0
"""
`otel-revenue doctor`: why nothing arrives.

Run it with the application's environment, best as the application is run: `opentelemetry-instrument otel-revenue doctor`. It
writes nothing, disturbs no running application, and prints no secret.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from . import _checks_beside, _checks_endpoint, _checks_installed, _checks_live, _checks_settings, _checks_store
from ._findings import Level, fail, look, skip
from ._words import count

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ._findings import Around, Check, Finding

SECTIONS: Final[tuple[tuple[str, tuple[Check, ...]], ...]] = (
    ("installed", _checks_installed.CHECKS),
    ("settings", _checks_settings.CHECKS),
    ("live", _checks_live.CHECKS),
    ("store", _checks_store.CHECKS + _checks_beside.CHECKS),
    ("endpoint", _checks_endpoint.CHECKS),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--store", metavar="WHERE", help="the store's folder; default: as the application would have it"
    )
    parser.add_argument("--offline", action="store_true", help="do not look at the endpoint")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Look at everything, and print it. Exit code 1: something does not work."""
    around = look(os.environ, arguments.store, time.time_ns())
    found = examine(around, offline=arguments.offline)
    if arguments.json:
        print(json.dumps(as_json(found), indent=2))
    else:
        for title, findings in found:
            print("\n".join(lines(title, findings)), flush=True)
        print(summary(found))
    return int(any(f.level is Level.FAIL for _, findings in found for f in findings))


def examine(around: Around, *, offline: bool = False) -> list[tuple[str, list[Finding]]]:
    """Make every check; returns the findings by section."""
    found = []
    for title, checks in SECTIONS:
        if offline and title == "endpoint":
            found.append((title, [skip("the endpoint: --offline")]))
            continue
        found.append((title, [finding for check in checks for finding in _made(check, around)]))
    return found


def _made(check: Check, around: Around) -> list[Finding]:
    try:
        return check(around)
    except Exception as error:  # noqa: BLE001 - one check that fails must not keep the others from being told
        name = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
        return [
            fail(
                f"the check {name} itself failed ({type(error).__name__})", "please report it, with the versions above"
            )
        ]


def lines(title: str, findings: Sequence[Finding]) -> list[str]:
    """Return one section for people."""
    found = [title]
    for finding in findings:
        found.append(f"  {finding.level.value:<4}  {finding.what}")
        if finding.remedy:
            found.append(f"        -> {finding.remedy}")
    return found


def summary(found: Sequence[tuple[str, Sequence[Finding]]]) -> str:
    """Return the last line: how many of what."""
    levels = Counter(finding.level for _, findings in found for finding in findings)
    if not levels[Level.FAIL] and not levels[Level.WARN]:
        return "\nNo problem found."
    return f"\n{count(levels[Level.FAIL], 'problem')}, {count(levels[Level.WARN], 'warning')}."


def as_json(found: Sequence[tuple[str, Sequence[Finding]]]) -> dict[str, Any]:
    """Return it for programs."""
    levels = Counter(finding.level for _, findings in found for finding in findings)
    return {
        "problems": levels[Level.FAIL],
        "warnings": levels[Level.WARN],
        "findings": [
            {"section": title, "level": f.level.value, "what": f.what, "remedy": f.remedy}
            for title, findings in found
            for f in findings
        ],
    }
