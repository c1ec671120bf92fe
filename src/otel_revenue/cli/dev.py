# SPDX-License-Identifier: Apache-2.0
"""`otel-revenue dev`: receive OTLP on this machine and keep it in a local database."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from otel_revenue.errors import ConfigError, MissingExtra, UnknownCurrency
from otel_revenue.schema.money import to_major

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from otel_revenue.analytics.server import LocalServer
    from otel_revenue.analytics.store import PaidOrder


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--port", type=int, default=4318, help="default: 4318, OTLP/HTTP's own; 0: any free one")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; default: 127.0.0.1, this machine alone"
    )
    parser.add_argument(
        "--allow-remote", action="store_true", help="listen on an address that others can reach; there is no password"
    )
    parser.add_argument(
        "--database", type=Path, metavar="FILE", help="default: otel-revenue/local.duckdb in the user's state folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    need_extra()
    from otel_revenue.analytics.server import LocalServer, is_loopback
    from otel_revenue.analytics.store import Store, default_file

    remote = not is_loopback(arguments.host)
    if remote and not arguments.allow_remote:
        raise ConfigError(
            f"--host {arguments.host} lets others on the network send and read telemetry, without a password. "
            "Add --allow-remote if that is what you want"
        )
    if not 0 <= arguments.port <= 65535:
        raise ConfigError(f"--port {arguments.port}: expected a number from 0 to 65535")
    database = (arguments.database or default_file()).expanduser().resolve()
    with Store(database) as store:
        server = LocalServer(store, host=arguments.host, port=arguments.port, on_paid=_show_paid)
        if remote:
            print(f"WARNING: everybody who reaches {arguments.host}:{server.port} can send telemetry.", file=sys.stderr)
        usual = database == default_file().expanduser().resolve()
        _serve(server, opening(server.url, database, usual=usual))
    _say("Stopped. `otel-revenue report` reads what was kept.")
    return 0


def _serve(server: LocalServer, text: str) -> None:
    """Run the server in a thread: in the main one uvicorn would end the process by the signal, before we have closed."""

    def stop(_number: int, _frame: object) -> None:
        server.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=server.run, name="otel-revenue-server")
    try:
        thread.start()
        _say(text)  # only now: whoever reads it may end us by a signal
        while thread.is_alive():
            thread.join(0.5)
    finally:
        server.stop()
        thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def opening(url: str, database: Path, *, usual: bool) -> str:
    """Return what to set in the application, and how to ask for the report; *usual*: the report finds the database by itself."""
    report = "otel-revenue report" if usual else f"otel-revenue report --database {shlex.quote(str(database))}"
    return f"""otel-revenue dev receives OTLP/HTTP at {url}
and keeps it in {database}

In the application's environment:

  export OTEL_EXPORTER_OTLP_ENDPOINT={url}
  export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf

Then, in another terminal (--test-mode while you pay with Stripe's test keys):

  {report} --test-mode

Ctrl-C ends it. Paid orders:"""


def _show_paid(orders: Sequence[PaidOrder]) -> None:
    _say("\n".join(paid_line(order) for order in orders))


def paid_line(order: PaidOrder) -> str:
    """Return one line about a payment, for people."""
    parts = [
        _money(order),
        order.order_id or "no order_id",
        order.tier or "",
        order.country or "",
        order.payment_kind or "",
    ]
    if order.livemode is not True:
        parts.append("test mode" if order.livemode is False else "mode unknown")
    if order.trace_id:
        parts.append(f"trace {order.trace_id}")
    line = "  paid  " + "  ".join(part for part in parts if part)
    return "".join(sign if sign.isprintable() else "?" for sign in line)  # a terminal obeys control characters


def _money(order: PaidOrder) -> str:
    if order.amount_minor is None or order.currency is None:
        return "an amount that cannot be read"
    try:
        return f"{to_major(order.amount_minor, order.currency):,} {order.currency}"
    except UnknownCurrency:
        return f"{order.amount_minor:,} minor units of {order.currency}"


def _say(text: str) -> None:
    print(text, flush=True)


def need_extra() -> None:
    """
    Make sure that the `local` extra is there.

    Raises:
        MissingExtra: names what is missing, and the remedy.
    """
    try:
        import duckdb  # noqa: F401 - only whether it is there
        import opentelemetry.proto  # noqa: F401 - as above
        import rich  # noqa: F401 - as above
        import starlette  # noqa: F401 - as above
        import uvicorn  # noqa: F401 - as above
    except ImportError as error:
        raise MissingExtra(f'this needs {error.name}: pip install "otel-revenue[local]"') from None
