# SPDX-License-Identifier: Apache-2.0
"""
`otel-revenue collector check FILE ...`: finds the mistakes in a Collector's configuration that its own `validate` lets pass.

Run it with the Collector's environment, and the files in the order of its `--config` options.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_revenue import config
from otel_revenue.cli._findings import Finding, fail, ok, skip, warn
from otel_revenue.cli.doctor import lines, summary
from otel_revenue.errors import ConfigError, MissingExtra
from otel_revenue.schema import own
from otel_revenue.schema.events import EVENTS, SCHEMA_VERSION
from otel_revenue.schema.fields import attributes_of

from . import _program
from ._layers import Layer
from ._rules import faults

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from ._layers import Fault

# "#   REVENUE_OTLP_URL       required, without /v1/logs: ..." in the head of a file of backends/
_REQUIRED: Final = re.compile(r"^#\s+([A-Z][A-Z0-9_]+)\s+required\b", re.MULTILINE)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="as the Collector gets them, in that order")
    parser.add_argument("--no-validate", action="store_true", help="do not run the Collector's own `validate`")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Check, and print what was found. Exit code 1: the configuration has a grave fault."""
    layers = [read(file) for file in arguments.files]
    found = faults(layers, os.environ, declared(os.environ), SCHEMA_VERSION)
    said = _validated(arguments)
    if arguments.json:
        print(json.dumps(as_json(found, said), indent=2))
    else:
        sections = [("layers", findings(found)), ("validate", [said])]
        for title, told in sections:
            print("\n".join(lines(title, told)))
        print(summary(sections))
    return int(said.level.value == "FAIL" or any(fault.grave for fault in found))


def declared(environ: Mapping[str, str]) -> set[str]:
    """Return the attributes of the schema's events, and of those that the application's settings declare, by their names on the wire."""
    mine, _ = own.of_settings(config.load(environ)[0].events)
    return {name for event in EVENTS for name in attributes_of(event)}.union(*mine.values())


def read(file: str) -> Layer:
    """
    Read one file.

    Raises:
        MissingExtra: PyYAML is not installed.
        ConfigError: it cannot be read, or is no YAML of keys and values.
    """
    try:
        import yaml
    except ImportError:
        raise MissingExtra('reading YAML needs PyYAML: pip install "otel-revenue[yaml]"') from None
    try:
        text = Path(file).read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place is not None else ""
        raise ConfigError(f"{file}{line}: not readable as YAML") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: expected keys and values at the top level, such as `exporters:`")
    return Layer(file, content, tuple(_REQUIRED.findall(text)))


def findings(found: Sequence[Fault]) -> list[Finding]:
    """Return the faults as lines for people."""
    if not found:
        return [ok("no fault found")]
    return [
        (fail if fault.grave else warn)(
            f"{fault.file}: {fault.key}{': ' if fault.key else ''}{fault.what}", fault.remedy
        )
        for fault in found
    ]


def as_json(found: Sequence[Fault], said: Finding) -> dict[str, Any]:
    """Return it for programs."""
    return {
        "faults": [
            {"level": "FAIL" if f.grave else "WARN", "file": f.file, "key": f.key, "what": f.what, "remedy": f.remedy}
            for f in found
        ],
        "validate": {"level": said.level.value, "what": said.what},
    }


def _validated(arguments: argparse.Namespace) -> Finding:
    if arguments.no_validate:
        return skip("the Collector's own validate: --no-validate")
    program = _program.find(os.environ)
    if program is None:
        return skip("the Collector's own validate: no Collector on the PATH", "name one in OTELCOL")
    trouble = _program.validate(program, arguments.files, os.environ)
    if not trouble:
        return ok(f"{program} accepts it")
    remedy = "use otelcol-contrib, which has all parts" if "unknown type" in trouble else "correct what it names"
    return fail(f"{program} refuses it: {trouble}", remedy)
