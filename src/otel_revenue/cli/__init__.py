# SPDX-License-Identifier: Apache-2.0
"""
The command line. Each command is a module with `configure(parser)` and `run(arguments) -> exit code`, imported when called.

Exit codes: 0 all is well, 1 the command's own answer is no (a difference, a problem found), 2 it could not be run.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from typing import TYPE_CHECKING, Final

from otel_revenue.errors import RevenueError
from otel_revenue.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "demo": "buyers walk through an unmodified shop; shows what its telemetry knows afterwards",
    "dev": "receive OTLP on this machine and keep it in a local database",
    "report": "orders, revenue, AOV and funnel out of the local database",
    "outbox": "what waits to be delivered, what was refused, what could not be read",
    "privacy": "what would be masked in an OTLP file, and the hash under which a value leaves",
    "schema": "the events and attributes that may leave the application",
    "doctor": "why nothing arrives: what is installed, configured, stored and answering",
    "collector": "check the Collector's configuration, and try a running one",
}


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    Args:
        argv: the words after the program's name; the process's own when None.

    Returns:
        the exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    outer = _outer_parser()
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    if not arguments:
        outer.print_help()
        return 2
    name = arguments[0]
    if name not in COMMANDS:
        if name.startswith("-"):
            outer.parse_args(arguments[:1])
        return _unknown(name)
    return _run(name, arguments[1:])


def _run(name: str, words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=f"otel-revenue {name}", description=f"otel-revenue {name}: {COMMANDS[name]}.")
    try:
        module = importlib.import_module(f".{name}", __name__)
        module.configure(parser)
        code = module.run(parser.parse_args(words))
        return int(code or 0)
    except RevenueError as error:
        # Wrong settings, a missing extra, a store that cannot be opened: their texts name the remedy.
        print(f"otel-revenue {name}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # `otel-revenue schema | head`: whoever read us has enough.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def _outer_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="otel-revenue",
        description="Ties revenue to traces.",
        epilog="commands:\n"
        + "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
        + "\n\n'otel-revenue COMMAND --help' says more about one of them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="otel-revenue [-h] [--version] COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"otel-revenue {__version__}")
    return parser


def _unknown(name: str) -> int:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    print(
        f"otel-revenue: there is no command '{name[:40]}'.{hint} There are: {', '.join(COMMANDS)}.",
        file=sys.stderr,
    )
    return 2
