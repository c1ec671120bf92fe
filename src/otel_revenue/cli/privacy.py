# SPDX-License-Identifier: Apache-2.0
"""
`otel-revenue privacy`: what a profile would mask in an OTLP file, and the hash under which a value leaves.

Prints names of attributes, kinds and counts, never a value.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from otel_revenue import config
from otel_revenue.errors import ConfigError
from otel_revenue.privacy.policy import OFF, REVENUE, STRICT, digest
from otel_revenue.privacy.redactor import Redactor
from otel_revenue.redaction import policies
from otel_revenue.redaction.logs import is_whole
from otel_revenue.redaction.parts import Parts

from ._otlp_walk import Attributes, Text, from_protobuf, parts
from ._words import count, shown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import Any

    from otel_revenue.config import Settings

    from ._otlp_walk import Part

_LONGEST_NAME: Final = 60


class Place(NamedTuple):
    """Where something would be masked, and as what. `key`: the attribute, or `name`, `body`, `status`."""

    signal: str
    place: str
    key: str
    kind: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="scan|hash")
    scan = actions.add_parser("scan", help="what a profile would mask in an OTLP file, and how often")
    scan.add_argument(
        "file",
        metavar="FILE",
        help="JSON lines as the Collector's file exporter writes, or a request in protobuf; - is stdin",
    )
    scan.add_argument("--profile", choices=(REVENUE, STRICT, OFF), help="default: OTEL_REVENUE_PRIVACY")
    scan.add_argument("--signal", choices=("traces", "logs", "metrics"), help="of protobuf; default: by its content")
    scan.add_argument("--fail", action="store_true", help="exit code 1 where something would be masked")
    scan.add_argument("--json", action="store_true", help="for programs")
    actions.add_parser("hash", help="the hash of the value on stdin under each of OTEL_REVENUE_PRIVACY_HASH_KEYS")


def run(arguments: argparse.Namespace) -> int:
    """Do one of scan, hash. Exit code 1: `--fail`, and something would be masked; 2: something could not be read."""
    settings, problems = config.load(os.environ)
    for problem in problems:
        print(f"otel-revenue privacy: {problem}", file=sys.stderr)
    if arguments.action is None:
        raise ConfigError("say what: 'otel-revenue privacy scan FILE', or 'otel-revenue privacy hash'")
    return _hash(settings) if arguments.action == "hash" else _scan(settings, arguments)


def _hash(settings: Settings) -> int:
    if not settings.privacy_hash_keys:
        raise ConfigError("no key is configured: set OTEL_REVENUE_PRIVACY_HASH_KEYS as the application has it")
    if sys.stdin.isatty():
        print("The value, then Enter:", file=sys.stderr)
    value = sys.stdin.readline().rstrip("\r\n")
    for key in settings.privacy_hash_keys:
        print(digest(key, value))
    return 0


def _scan(settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.profile:
        settings = dataclasses.replace(settings, privacy=arguments.profile)
    scan = Scan(settings)
    with _opened(arguments.file) as file:
        unreadable = sum(not scan.read(document) for document in _documents(file, arguments.signal))
    if arguments.json:
        rows = [{**place._asdict(), "count": number} for place, number in scan.found.most_common()]
        summary = {"profile": settings.privacy, "values": scan.values, "unreadable": unreadable, "masked": rows}
        print(json.dumps(summary, indent=2))
    else:
        print("\n".join(_lines(scan, settings.privacy)))
    if unreadable:
        print(f"otel-revenue privacy: {count(unreadable, 'document')} could not be read", file=sys.stderr)
        return 2
    return 1 if arguments.fail and scan.found else 0


class Scan:
    """
    What a profile would do.

    Args:
        settings: profile and rules.

    Attributes:
        found: how often something would be masked, by place.
        values: how many values were looked at.
    """

    def __init__(self, settings: Settings) -> None:
        policy = policies.policy(settings)
        self._kinds: Counter[str] = Counter()
        self._redactor = Redactor(policy, self._count)
        self._parts = Parts(self._redactor)
        self._names = Redactor(policy, lambda _: None)
        self.found: Counter[Place] = Counter()
        self.values = 0

    def read(self, document: Callable[[], Any]) -> bool:
        """Look at all parts of a document; returns whether it could be read."""
        try:
            for part in parts(document()):
                self._take(part)
        except ValueError as error:
            print(f"otel-revenue privacy: something cannot be read, and was not searched: {error}", file=sys.stderr)
            return False
        return True

    def _take(self, part: Part) -> None:
        if isinstance(part, Attributes):
            for key, value in part.values.items():
                self._look(part.signal, part.place, key, {key: value}, self._redactor.attributes)
        elif part.value:
            self._look(part.signal, part.place, part.what, part.value, self._reader(part))

    def _reader(self, part: Text) -> Callable[[Any], object]:
        if part.what == "body":
            return lambda body: self._redactor.whole(body) if is_whole(part.scope) else self._redactor.body(body)
        if part.what == "status":
            return self._redactor.message
        if part.place == "span":
            return lambda name: self._parts.span_name(name, part.beside)
        return self._redactor.text

    def _look(self, signal: str, place: str, key: str, value: Any, read: Callable[[Any], object]) -> None:
        self.values += 1
        if not self._redactor.active:
            return
        self._kinds.clear()
        changed = read(value) != value
        # A body may hold hundreds of addresses; what is told of is values.
        for kind in sorted(self._kinds) or (["changed"] if changed else []):
            self.found[Place(signal, place, self._names.text(key)[:_LONGEST_NAME], kind)] += 1

    def _count(self, kind: str) -> None:
        self._kinds[kind] += 1


def _opened(name: str) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from None


def _documents(file: BinaryIO, signal: str | None) -> Iterator[Callable[[], Any]]:
    """Yield what reads each document: a line of JSON each, or all of the file."""
    first = file.readline()
    if not first:
        return
    if first.lstrip()[:1] != b"{":
        whole = first + file.read()
        yield lambda: from_protobuf(whole, signal)
        return
    if _is_json(first):
        yield lambda: _json(first)
        for line in file:
            if line.strip():
                yield lambda line=line: _json(line)  # type: ignore[misc]
        return
    printed = first + file.read()  # one document on many lines
    yield lambda: _json(printed)


def _is_json(line: bytes) -> bool:
    try:
        _json(line)
    except ValueError:
        return False
    return True


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _lines(scan: Scan, profile: str) -> Iterator[str]:
    masked = sum(scan.found.values())
    yield f"{count(scan.values, 'value')} looked at; under the profile {profile!r} would be masked or left out: {masked or 'none'}"
    rows: list[tuple[str, ...]] = [("signal", "place", "key", "kind", "values")]
    rows += [(*place[:2], shown(place.key), place.kind, str(number)) for place, number in scan.found.most_common()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if masked:
        for row in rows:
            yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
