# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue collector check` as a command: what it reads, what it prints, and what it does not."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from otel_revenue import cli
from otel_revenue.cli.collector import ACTIONS, _program, _variables
from support.collector import CONFIG, ask
from support.layers import OTLP, environment

if TYPE_CHECKING:
    from pathlib import Path


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


def test_an_event_of_the_applications_own_belongs_into_the_allow_list(
    set_up: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the settings declare and the allow-list drops is told, and how to mend it."""
    events = [
        {
            "name": "quote.requested",
            "meaning": "The buyer asked for a quote.",
            "attributes": {"quote_id": {"kind": "id", "meaning": "The shop's id of the quote.", "example": "q-7"}},
        }
    ]
    (tmp_path / "otel-revenue.yaml").write_text(yaml.safe_dump({"events": events}))
    monkeypatch.setenv("OTEL_REVENUE_CONFIG", str(tmp_path / "otel-revenue.yaml"))
    code = cli.main(["collector", "check", *set_up])
    said = capsys.readouterr().out

    assert (1, True, True) == (code, "it drops quote_id" in said, "`otel-revenue collector allow-list`" in said)


def test_without_an_action_the_command_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the actions."""
    code = cli.main(["collector"])
    said = capsys.readouterr().out

    assert (2, []) == (code, [name for name in ACTIONS if name not in said])


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
    monkeypatch.setitem(sys.modules, "yaml", None)
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
