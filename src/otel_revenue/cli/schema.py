# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue schema`: the events and attributes that may leave the application."""

from __future__ import annotations

import difflib
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from otel_revenue.schema.events import CommonEvent


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("event", nargs="?", metavar="EVENT", help="name of one event, for example order.paid")
    parser.add_argument("--all", action="store_true", help="the JSON schemas of all events as one object")


def run(arguments: argparse.Namespace) -> int:
    """Print the list of events, or the JSON schema of one (with `--all`, of each)."""
    from otel_revenue.schema.documents import json_schema
    from otel_revenue.schema.events import EVENTS

    events = {event.event_name: event for event in EVENTS}
    if arguments.all:
        print(json.dumps({name: json_schema(event) for name, event in events.items()}, indent=2))
        return 0
    if arguments.event is None:
        _print_list(events)
        return 0
    if arguments.event not in events:
        near = difflib.get_close_matches(arguments.event, events, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        print(
            f"otel-revenue schema: there is no event '{arguments.event[:60]}'.{hint} There are: {', '.join(events)}.",
            file=sys.stderr,
        )
        return 2
    print(json.dumps(json_schema(events[arguments.event]), indent=2))
    return 0


def _print_list(events: dict[str, type[CommonEvent]]) -> None:
    from otel_revenue.schema.events import SCHEMA_VERSION

    width = max(map(len, events))
    print(f"Schema {SCHEMA_VERSION}. Nothing that is not declared here leaves the application.\n")
    for name, event in events.items():
        first = (event.__doc__ or "").strip().splitlines()[0]
        print(f"  {name:<{width}}  {len(event.model_fields):>2} attributes  {first}")
    print("\n'otel-revenue schema EVENT' prints the JSON schema of one.")
