# SPDX-License-Identifier: Apache-2.0
"""The command line's door."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from otel_revenue import __version__, cli
from otel_revenue.errors import MissingExtra


def test_version_is_printed_alone(capsys):
    """
    `--version` prints name and version and succeeds.
    """
    with pytest.raises(SystemExit) as leaving:
        cli.main(["--version"])

    assert (0, f"otel-revenue {__version__}\n") == (leaving.value.code, capsys.readouterr().out)


def test_help_names_every_command(capsys):
    """
    Without a word, the command line says what there is, and does not succeed.
    """
    code = cli.main([])
    out = capsys.readouterr().out

    assert (2, []) == (code, [name for name in cli.COMMANDS if f"\n  {name} " not in out])


@pytest.mark.parametrize(("words", "told"), [(["help"], "commands:"), (["help", "report"], "--test-mode")])
def test_help_is_a_word_too(capsys, words, told):
    """
    `otel-revenue help` and `otel-revenue help COMMAND` are the same as `--help`, with exit code 0.
    """
    with pytest.raises(SystemExit) as ended:
        cli.main(words)

    assert (0, True) == (ended.value.code, told in capsys.readouterr().out)


@pytest.mark.parametrize(("typed", "meant"), [("docter", "doctor"), ("shcema", "schema"), ("repot", "report")])
def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(capsys, typed, meant):
    """
    A word that is no command gets the nearest one, all of them, and exit code 2.
    """
    code = cli.main([typed])
    said = capsys.readouterr().err

    assert (2, True, True) == (code, f"Did you mean '{meant}'?" in said, "outbox, privacy, schema, doctor" in said)


def test_a_missing_extra_is_one_clear_sentence(capsys, monkeypatch):
    """
    A command whose extra is not installed says what to install, without a traceback, and exits with 2.
    """

    def lacking(_name, _package):
        raise MissingExtra('the report needs DuckDB: pip install "otel-revenue[local]"')

    monkeypatch.setattr(cli.importlib, "import_module", lacking)

    code = cli.main(["report"])

    assert (2, 'otel-revenue report: the report needs DuckDB: pip install "otel-revenue[local]"\n') == (
        code,
        capsys.readouterr().err,
    )


def test_the_door_is_light():
    """
    To print help, no heavy library is imported.
    """
    heavy = ("duckdb", "fastapi", "grpc", "pydantic", "requests", "rich", "starlette", "stripe", "uvicorn")
    script = (
        f"import sys\nfrom otel_revenue.cli import main\nmain([])\nprint([n for n in {heavy!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.splitlines()[-1]


def test_schema_lists_every_event(capsys):
    """
    `schema` without a name lists all events.
    """
    from otel_revenue.schema.events import EVENTS

    code = cli.main(["schema"])
    out = capsys.readouterr().out

    assert (0, []) == (code, [e.event_name for e in EVENTS if f"  {e.event_name} " not in out])


def test_schema_of_one_event_is_json_by_wire_names(capsys):
    """
    `schema EVENT` is valid JSON, and its properties are called as they are on the wire.
    """
    code = cli.main(["schema", "order.paid"])
    schema = json.loads(capsys.readouterr().out)

    assert (0, "order.paid", True, False) == (
        code,
        schema["title"],
        "stripe.payment_intent.id" in schema["properties"],
        "payment_intent_id" in schema["properties"],
    )


def test_schema_of_an_unknown_event_says_which_there_are(capsys):
    """
    A name that is no event is an error that names the right one.
    """
    code = cli.main(["schema", "order.payed"])

    assert (2, True) == (code, "Did you mean 'order.paid'?" in capsys.readouterr().err)
