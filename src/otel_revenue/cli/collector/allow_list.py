# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue collector allow-list > allowlist.yaml`: the Collector's allow-list with the events of the application's own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from otel_revenue import config
from otel_revenue.errors import ConfigError, MissingExtra
from otel_revenue.schema import own

from . import _allow_list

if TYPE_CHECKING:
    import argparse

MARK = "Written by `otel-revenue collector allow-list`: the events of the schema and of the application's settings."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none, the events are read from the settings."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """
    Print the file.

    Raises:
        ConfigError: a setting, or an event that is declared there, is wrong.
        MissingExtra: PyYAML is not installed.
    """
    del arguments
    events, problems = own.of_settings(config.checked(os.environ).events)
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        sys.stdout.write(_allow_list.document(MARK, events))
    except ImportError:
        raise MissingExtra('writing YAML needs PyYAML: pip install "otel-revenue[yaml]"') from None
    return 0
