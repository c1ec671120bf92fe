# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue collector`: checks the Collector's configuration, completes its allow-list, and tries a running one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse

ACTIONS: Final = {
    "check": "find mistakes in the layers of a configuration: file, key, remedy",
    "allow-list": "write the allow-list anew, with the events that your settings declare",
    "test": "send one marked test event through a running Collector, and say what each stage answers",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of each action."""
    parser.set_defaults(show=parser.print_help)
    actions = parser.add_subparsers(dest="action", metavar="{check,allow-list,test}")
    for name, text in ACTIONS.items():
        importlib.import_module(_module(name), __name__).configure(
            actions.add_parser(name, help=text, description=text)
        )


def run(arguments: argparse.Namespace) -> int:
    """Run the action; without one, say which there are."""
    if arguments.action is None:
        arguments.show()
        return 2
    return int(importlib.import_module(_module(arguments.action), __name__).run(arguments))


def _module(action: str) -> str:
    return f".{action.replace('-', '_')}"
