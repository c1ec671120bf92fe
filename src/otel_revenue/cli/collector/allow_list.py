# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue collector allow-list`: the Collector's allow-list with the events of the application's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otel_revenue import config
from otel_revenue.errors import ConfigError, MissingExtra
from otel_revenue.schema import own

from . import _allow_list

if TYPE_CHECKING:
    import argparse

MARK = "Written by `otel-revenue collector allow-list`: the events of the schema and of the application's settings."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the events are read from the settings."""
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there, not to standard output")


def run(arguments: argparse.Namespace) -> int:
    """
    Write the file.

    Raises:
        ConfigError: a setting, or an event that is declared there, is wrong, or the file cannot be written.
        MissingExtra: PyYAML is not installed.
    """
    events, problems = own.of_settings(config.checked(os.environ).events)
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        text = _allow_list.document(MARK, events)
    except ImportError:
        raise MissingExtra('writing YAML needs PyYAML: pip install "otel-revenue[yaml]"') from None
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    try:
        arguments.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{arguments.output}: cannot be written ({error.strerror})") from None
    return 0
