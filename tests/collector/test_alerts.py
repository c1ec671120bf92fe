# SPDX-License-Identifier: Apache-2.0
"""
The alert rules under promtool. Cases that fire and cases that must not are in `alerts/*.yaml`.

`make test` names the folder of promtool and prometheus in OTEL_REVENUE_TEST_PROMETHEUS.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.prometheus import tool

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "collector-config" / "alerts"
CASES = Path(__file__).parent / "alerts"
FILES = ("application", "collector", "revenue")
PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def alerts(name: str) -> Iterator[dict[str, Any]]:
    """Return the alerts of one file."""
    for group in yaml.safe_load((RULES / f"{name}.yaml").read_text(encoding="utf-8"))["groups"]:
        yield from (rule for rule in group["rules"] if "alert" in rule)


ALERTS = [pytest.param(name, alert, id=alert["alert"]) for name in FILES for alert in alerts(name)]


def promtool(*words: str | Path) -> tuple[int, str]:
    """Run promtool; returns its exit code and what it said."""
    done = subprocess.run([tool("promtool"), *words], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_no_file_of_rules_is_without_cases() -> None:
    """Each file of rules has a file of cases."""
    assert [sorted(FILES)] * 2 == [sorted(path.stem for path in folder.glob("*.yaml")) for folder in (RULES, CASES)]


@pytest.mark.parametrize("name", FILES)
def test_the_rules_are_rules(name: str) -> None:
    """Prometheus accepts the file."""
    code, said = promtool("check", "rules", RULES / f"{name}.yaml")

    assert code == 0, said


@pytest.mark.parametrize("name", FILES)
def test_the_cases_hold(name: str) -> None:
    """Each case fires where it says so and nowhere else."""
    code, said = promtool("test", "rules", CASES / f"{name}.yaml")

    assert code == 0, said


@pytest.mark.parametrize("broken", ["vector(1) > 1", "vector(1)"], ids=["never", "always"])
@pytest.mark.parametrize("name", FILES)
def test_the_cases_see_a_broken_alert(name: str, broken: str, tmp_path: Path) -> None:
    """An alert that never fires, or that always does, fails a case that names it: each has one of either kind."""
    content = yaml.safe_load((RULES / f"{name}.yaml").read_text(encoding="utf-8"))
    names = []
    for rule in (rule for group in content["groups"] for rule in group["rules"] if "alert" in rule):
        names.append(rule["alert"])
        rule["expr"] = broken
        rule.pop("for", None)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    cases = yaml.safe_load((CASES / f"{name}.yaml").read_text(encoding="utf-8"))
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump({**cases, "rule_files": ["rules.yaml"]}), encoding="utf-8")

    code, said = promtool("test", "rules", tmp_path / "cases.yaml")

    assert (1, []) == (code, [alert for alert in names if alert not in said])


@pytest.mark.parametrize(("name", "alert"), ALERTS)
def test_each_alert_says_what_it_means_and_what_to_do(name: str, alert: dict[str, Any]) -> None:
    """Each alert has a severity, a summary, a description, and a runbook in a section that exists."""
    annotations = alert["annotations"]
    heading = f"### {alert['alert']}"
    link = f"https://github.com/otel-revenue/otel-revenue/blob/main/docs/alerts.md#{alert['alert'].lower()}"

    assert (True, {"summary", "description", "runbook_url"}, link, True) == (
        alert["labels"]["severity"] in ("page", "ticket"),
        set(annotations),
        annotations["runbook_url"],
        heading in PAGE.splitlines(),
    )


def test_the_page_has_no_alert_that_is_gone() -> None:
    """The runbook and the rules name the same alerts, with the same severity."""
    told = re.findall(r"^### (\w+)\n\n`(\w+)`", PAGE, re.MULTILINE)

    assert sorted((alert["alert"], alert["labels"]["severity"]) for name in FILES for alert in alerts(name)) == sorted(
        told
    )


def test_what_operate_says_to_alert_on_is_alerted_on() -> None:
    """Each metric in the table of docs/operate.md is one that a rule looks at."""
    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    table = page.partition("### What to alert on")[2].partition("\n## ")[0]
    named = {
        name
        for row in re.findall(r"^\|[^|]+\|([^|]+)\|", table, re.MULTILINE)
        for name in re.findall(r"`([a-z_.]+)`", row)
    }
    rules = (RULES / "application.yaml").read_text(encoding="utf-8")

    assert (True, []) == (
        len(named) > 5,
        [name for name in named if f"otel_revenue_{name.replace('.', '_')}" not in rules],
    )
