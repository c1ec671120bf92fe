# SPDX-License-Identifier: Apache-2.0
"""Rules on privacy: the allow-list is there, of today's schema, fails closed, and nothing goes around it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._layers import Fault, fed_by, scalars

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from ._layers import Pipeline, Whole

ALLOW_EVENTS: Final = "transform/allow_events"
_PRIVACY: Final = re.compile(
    r"transform/(?:allow_\w+|clip)|filter/(?:keep|drop)_\w+|filter/\w+_copies|redaction(?:/\w+)?"
)
_KEPT: Final = re.compile(r"keep_keys\(log\.attributes, \[([^\]]*)\]\)")


def allow_list(whole: Whole, attributes: Set[str], version: str) -> Iterator[Fault]:
    """
    Find an allow-list that is missing, or older than the schema.

    Args:
        whole: the configuration.
        attributes: the names that the schema's events use on the wire.
        version: of the schema.
    """
    if not any(ALLOW_EVENTS in pipeline.processors for pipeline in whole.pipelines):
        return
    if ALLOW_EVENTS not in whole.part("processors"):
        return  # `references` tells it
    kept = {
        name
        for _, text in scalars(whole.settings("processors", ALLOW_EVENTS))
        for names in _KEPT.findall(text)
        for name in re.findall(r'"([^"]+)"', names)
    }
    gone = sorted(attributes - kept)
    if gone:
        yield Fault(
            grave=True,
            file=whole.file("processors", ALLOW_EVENTS),
            key=f"processors::{ALLOW_EVENTS}",
            what=f"is older than the schema {version}: it drops {', '.join(gone[:5])}{' ...' if gone[5:] else ''}",
            remedy="take allowlist.yaml of this release; with events of your own, what `otel-revenue collector allow-list` writes",
        )


def error_modes(whole: Whole) -> Iterator[Fault]:
    """Find privacy processors that let a record through when a statement fails."""
    for name in whole.part("processors"):
        mode = whole.said(whole.settings("processors", name).get("error_mode", "propagate"))
        if _PRIVACY.fullmatch(name) and mode in ("ignore", "silent"):
            yield Fault(
                grave=True,
                file=whole.file("processors", name, "error_mode"),
                key=f"processors::{name}::error_mode",
                what=f"{mode}: a record on which a statement fails passes as it is, personal data and all",
                remedy="error_mode: propagate, and statements that cannot fail",
            )


def around(whole: Whole) -> Iterator[Fault]:
    """Find ways from a receiver to a backend on which no allow-list stands."""
    fed = fed_by(whole)
    own = {name for name in whole.part("receivers") if _of_our_own(whole, name)}
    for pipeline in whole.pipelines:
        out = [
            name for name in pipeline.exporters if name not in whole.part("connectors") and not name.startswith("nop")
        ]
        source = _raw_source(pipeline, fed, own, whole, ()) if out else ""
        if source:
            yield Fault(
                grave=True,
                file=whole.file(*pipeline.key.split("::"), "receivers"),
                key=f"{pipeline.key}::receivers",
                what=f"what {source} receives reaches {out[0]} and no allow-list stands between",
                remedy="take it from a forward point of base.yaml: forward/events, forward/other_logs, forward/traces, forward/metrics",
            )


def _raw_source(
    pipeline: Pipeline, fed: dict[str, list[Pipeline]], own: set[str], whole: Whole, seen: tuple[str, ...]
) -> str:
    """Return the receiver whose data leaves this pipeline without having met an allow-list; "" where there is none."""
    if pipeline.name in seen or any(name.startswith("transform/allow_") for name in pipeline.processors):
        return ""
    for name in pipeline.receivers:
        if name in whole.part("connectors"):
            for before in fed.get(name, []):
                found = _raw_source(before, fed, own, whole, (*seen, pipeline.name))
                if found:
                    return found
        elif name not in own:
            return name
    return ""


def _of_our_own(whole: Whole, receiver: str) -> bool:
    """Whether an exporter of this Collector sends to the receiver: what comes in there has passed already."""
    listens = {
        whole.expand(text) for path, text in scalars(whole.settings("receivers", receiver)) if path[-1] == "endpoint"
    }
    return any(
        whole.expand(text).partition("://")[2] in listens
        for path, text in scalars(whole.part("exporters"))
        if path[-1] == "endpoint"
    )
