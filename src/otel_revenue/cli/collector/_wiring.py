# SPDX-License-Identifier: Apache-2.0
"""Rules on how layers fit together: nothing restated, nothing missing, nothing unconnected. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import _variables
from ._layers import SIDES, Fault, fed_by, scalars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._layers import Whole

# Without a taker for these the Collector does not start, so that nothing is acknowledged into the void.
MONEY_POINTS: Final = ("forward/money", "forward/money_copies")


def restated(whole: Whole) -> Iterator[Fault]:
    """Find what a later file replaces in an earlier one: a list as a whole, a scalar, or a map by null."""
    for file, earlier, path, value in whole.restated:
        key = "::".join(path)
        if isinstance(value, list):
            what = f"restates a list of {earlier}, and replaces it: what is added there later is lost without a word"
            remedy = "add a pipeline of your own, fed by one of the forward points, and leave that one alone"
        elif value is None:
            what = f"null sets it back to its default, and not to nothing, over {earlier}"
            remedy = "leave the key out; a queue or a retry is off with `enabled: false`"
        else:
            what = f"overrides a setting of {earlier}"
            remedy = "give the component a name of its own (type/name), or set the variable that the setting reads"
        yield Fault(grave=True, file=file, key=key, what=what, remedy=remedy)


def variables(whole: Whole) -> Iterator[Fault]:
    """Find variables that are needed and not set, and defaults that end too early."""
    told = set()
    for layer in whole.layers:
        for path, text in scalars(layer.content):
            key = "::".join(path)
            if _variables.cut_short(text):
                what = "a default with a brace in it: the Collector takes the variable to end at the first }"
                yield Fault(True, layer.file, key, what, "use a default without braces, such as null")
            for name in whole.missing(text):
                if name not in told:
                    told.add(name)
                    yield _unset(name, layer.file, key)
        for name in layer.required:
            if not whole.environ.get(name) and name not in told:
                told.add(name)
                yield _unset(name, layer.file, "")


def references(whole: Whole) -> Iterator[Fault]:
    """Find names in pipelines that nothing defines, and forward points that are used on one side alone."""
    connectors = whole.part("connectors")
    for pipeline in whole.pipelines:
        for side in SIDES:
            known = {**whole.part(side), **(connectors if side != "processors" else {})}
            for name in getattr(pipeline, side):
                if name not in known:
                    what = f"names {name}, which no file defines"
                    key = f"{pipeline.key}::{side}"
                    yield Fault(True, whole.file(*pipeline.key.split("::"), side), key, what, _definer(side, whole))
    fed, taken = fed_by(whole), {name for pipeline in whole.pipelines for name in pipeline.receivers}
    for name in connectors:
        file, key = whole.file("connectors", name), f"connectors::{name}"
        if name not in taken and name in fed:
            yield Fault(True, file, key, "has no consumer: the Collector does not start", _taker(name))
        elif name in taken and name not in fed:
            remedy = "export to it from a pipeline, or take the connector away"
            yield Fault(True, file, key, "has nothing that feeds it: the Collector does not start", remedy)
    if fed.get("forward/events") and not _takers(whole, "forward/events"):
        what = "only nop takes it: funnel events are acknowledged and dropped"
        key = "connectors::forward/events"
        yield Fault(False, whole.file("connectors", "forward/events"), key, what, _taker("forward/events"))


def extensions(whole: Whole) -> Iterator[Fault]:
    """Find a storage or an authenticator that is not among the running extensions."""
    running = whole.part("service").get("extensions")
    names = {whole.expand(str(name)) for name in running} if isinstance(running, list) else set()
    for section in ("receivers", "exporters"):
        for path, text in scalars(whole.part(section)):
            name = whole.expand(text)
            if path[-1] in ("storage", "authenticator") and name not in names:
                yield Fault(
                    grave=True,
                    file=whole.file(section, *path),
                    key="::".join((section, *path)),
                    what=f"names the extension {name}, which does not run",
                    remedy="define it under extensions, and list it in service::extensions",
                )


def _takers(whole: Whole, point: str) -> bool:
    exporters = {name for pipeline in whole.behind(point) for name in pipeline.exporters}
    return any(name.partition("/")[0] not in ("nop", "debug", "forward") for name in exporters)


def _taker(point: str) -> str:
    if point in MONEY_POINTS:
        return "add a backend that takes money, such as --config backends/otlp.yaml"
    return f"add a pipeline with {point} among its receivers: a file of backends/"


def _definer(side: str, whole: Whole) -> str:
    if side == "processors":
        return "add --config allowlist.yaml, which holds the privacy processors, after base.yaml"
    defined = sorted(whole.part(side))
    return f"add the file that defines it, or correct the name; there are: {', '.join(defined) or 'none'}"


def _unset(name: str, file: str, key: str) -> Fault:
    return Fault(
        True, file, key, f"needs {name}, which is not set", f"set {name}; the head of the file says what it holds"
    )
