# SPDX-License-Identifier: Apache-2.0
"""Rules of the rooms that import-linter cannot say, since it knows packages of others by their first name only."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import otel_revenue
from otel_revenue.instrumentation.stripe import order
from otel_revenue.schema import _table
from otel_revenue.schema.events import EVENTS
from otel_revenue.schema.fields import attributes_of
from otel_revenue.signals import bound, spans

SOURCE = Path(otel_revenue.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
DECLARED = {wire for event in EVENTS for wire in attributes_of(event)}
LOG_API = ("opentelemetry._logs", "opentelemetry.sdk._logs")
KNOW_THE_LOG_API = ("signals/", "redaction/logs.py", "runtime/plan.py", "cli/doctor.py")
"""`signals` records, `redaction` masks; plan and doctor ask which provider the application has."""

MAY_ASK = ("config.py", "cli/_store.py")
"""The settings read our variables; the command line asks which of them named the store, to say so."""


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", [m for m in MODULES if not name_of(m).startswith(KNOW_THE_LOG_API)], ids=name_of)
def test_only_signals_touches_the_private_log_api(path):
    """
    OpenTelemetry's log API is private and moves: it is touched in `signals`, where log records are masked, and by whoever looks for the provider.
    """
    assert [] == [name for name in imports(path) if name.startswith(LOG_API)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_begins_with_its_licence(path):
    """
    Every source file names its licence in the first line.
    """
    text = path.read_text(encoding="utf-8")

    assert not text or text.startswith("# SPDX-License-Identifier: Apache-2.0\n")


@pytest.mark.parametrize("path", [m for m in MODULES if name_of(m) not in MAY_ASK], ids=name_of)
def test_only_config_names_our_variables_outside_of_messages(path):
    """
    No module but the settings reads a variable of ours: `environ[...]` and `getenv` with our prefix occur nowhere else.
    """
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        keys = []
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            keys = [node.slice]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("get", "getenv", "pop")
        ):
            keys = node.args[:1]
        found += [k.value for k in keys if isinstance(k, ast.Constant) and str(k.value).startswith("OTEL_REVENUE_")]

    assert [] == found


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("spans.ORDER_CONTEXT", spans.ORDER_CONTEXT),
        ("bound.NAMES", bound.NAMES),
        ("order ids", order._IDS.values()),
        ("metric labels", _table.METRIC_LABELS),
    ],
)  # fmt: skip
def test_lists_of_attributes_name_declared_ones(where, names):
    """
    Whoever lists attributes by name lists names of the schema: what a rename forgets would be dropped without a word.
    """
    assert set() == set(names) - DECLARED


@pytest.mark.parametrize("room", ["instrumentation", "runtime", "signals", "analytics"])
def test_stripe_ids_are_called_as_in_the_schema(room):
    """
    Every `stripe.<object>.id` that the code writes or reads is an attribute of the schema.
    """
    pattern = re.compile(r"stripe\.[a-z_.]+\.id")
    found = {
        node.value
        for path in (SOURCE / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and pattern.fullmatch(node.value)
    }

    assert set() == found - DECLARED - {"stripe.request.id"}


def test_event_names_in_code_are_declared():
    """
    Every event name that the core writes is an event of the schema.
    """
    pattern = re.compile(r"(?:checkout|order|design)\.[a-z_]+")
    known = {event.event_name for event in EVENTS} | {"checkout.payment"}  # the span, not an event
    foreign = re.compile(r"checkout\.(?:session|py)|order\.(?:id|amount)")
    found = {
        node.value
        for room in ("runtime", "signals", "instrumentation")
        for path in (SOURCE / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and pattern.fullmatch(node.value)
    }

    assert set() == {name for name in found - known if not foreign.fullmatch(name)}
