# SPDX-License-Identifier: Apache-2.0
"""What `import otel_revenue` gives, and what it does not do."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import otel_revenue

PROBE = """
    import builtins, json, sys, threading
    before, opened, sockets = set(sys.modules), [], []

    def watch(event, arguments):
        if event == "open" and not str(arguments[0]).endswith((".py", ".pyc", ".so", ".pth", "sqlite.sql")):
            opened.append(str(arguments[0]))
        if event.startswith(("socket.", "subprocess.", "os.fork", "sqlite3.")):
            sockets.append(event)

    sys.addaudithook(watch)
    {statement}
    loaded = set(sys.modules) - before
    # psutil, which the SDK loads where it is installed, looks at the processor.
    files = [name for name in opened if "site-packages" not in name and not name.isdigit() and name != "/proc/stat"]
    print(json.dumps([sorted({{name.partition(".")[0] for name in loaded}}), sorted(loaded), threading.active_count(), files, sockets]))
"""


def probe(statement: str):
    """Run one statement in a fresh interpreter, and say what it loaded, opened and started."""
    code = textwrap.dedent(PROBE).format(statement=statement)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(ran.stdout)


HEAVY = {
    "stripe",
    "duckdb",
    "pydantic",
    "requests",
    "grpc",
    "rich",
    "starlette",
    "fastapi",
    "uvicorn",
    "yaml",
    "sqlite3",
    "asyncio",
}


def test_all_is_sorted_and_exact():
    """
    The public names are these, sorted; each of them exists, and nothing else public is defined in the package.
    """
    defined = {
        name
        for name, value in vars(otel_revenue).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("otel_revenue")
    }

    assert (["RevenueInstrumentor", "__version__", "bind", "flush", "stage", "track"], [], set()) == (
        otel_revenue.__all__,
        [name for name in otel_revenue.__all__ if not hasattr(otel_revenue, name)],
        defined - set(otel_revenue.__all__),
    )


def test_an_unknown_name_is_an_attribute_error():
    """
    A name that the package does not have is refused as by any module.
    """
    assert (False, None) == (hasattr(otel_revenue, "charge"), getattr(otel_revenue, "charge", None))


def test_import_is_light():
    """
    Importing the package loads nothing but itself, starts no thread, opens no file and no socket.
    """
    roots, _, threads, files, sockets = probe("import otel_revenue")

    assert ([], 1, [], []) == (
        sorted(set(roots) - {"otel_revenue", "__future__", "typing", *sys.stdlib_module_names}),
        threads,
        files,
        sockets,
    )


def test_the_names_of_the_door_load_no_extra():
    """
    Even with every public name used, neither stripe nor pydantic nor any extra is loaded, and nothing is opened or started.
    """
    roots, _, threads, files, sockets = probe(
        "import otel_revenue; [getattr(otel_revenue, name) for name in otel_revenue.__all__]"
    )
    used = HEAVY - {"requests", "sqlite3", "asyncio"}

    assert ([], 1, [], []) == (sorted(set(roots) & used), threads, files, sockets)


def test_calls_without_instrumentation_do_nothing_and_start_nothing():
    """
    In an application that is not instrumented, `bind`, `track` and `flush` are without effect.
    """
    _, loaded, threads, files, sockets = probe(
        "import otel_revenue as o; o.bind(order_id='o-1', tier='pro').__enter__(); o.track('design.started', design_id='d'); assert o.flush() is True"
    )

    assert ([], 1, [], []) == ([name for name in loaded if name.partition(".")[0] == "stripe"], threads, files, sockets)
