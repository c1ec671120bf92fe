# SPDX-License-Identifier: Apache-2.0
"""
`otel-revenue demo`: an unmodified shop, buyers, a fake Stripe; then the report, checked against Stripe's books to the cent.

Everything runs on 127.0.0.1 and in a temporary folder.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from otel_revenue.errors import ConfigError, MissingExtra

from ._demo_parts import PartFailed, run_whole, signals_raise, stopping

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from otel_revenue.analytics.funnel_figures import FunnelReport

    from ._demo_buyers import Walk
    from ._demo_scene import Scene
    from ._demo_show import Show

SETTLE_S = 45.0
"""How long the demo waits for the next event to become known: holds (10 s by default) and delivery take their time."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--serve", action="store_true", help="keep everything running until Ctrl-C")
    parser.add_argument("--buyers", type=int, default=80, metavar="N", help="how many buyers, at least 8; default: 80")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="another crowd; default: 7")
    parser.add_argument(
        "--pace", type=float, default=1.0, metavar="X", help="factor on the buyers' waiting times; 0: none; default: 1"
    )
    parser.add_argument("--shop", type=Path, metavar="FILE", help="the shop; default: examples/shop_fastapi/shop.py")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep logs, store and database in this empty folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Play the demo; 0 when telemetry and Stripe's books agree, 1 when they differ or a part failed, 130 after Ctrl-C."""
    _check(arguments)
    _need_extra()
    from ._demo_scene import Scene
    from ._demo_show import Show

    shop = shop_file(arguments.shop)
    show = Show(sys.stdout)
    with signals_raise(), _workplace(arguments.keep) as folder:
        scene = Scene(folder, shop, os.environ)
        try:
            with contextlib.closing(scene), stopping(scene.parts):
                return _play(arguments, scene, show)
        except PartFailed as failed:
            show.failed(str(failed))
            return 1
        except KeyboardInterrupt:
            show.failed("Interrupted; all parts are stopped.")
            return 130


def _play(arguments: argparse.Namespace, scene: Scene, show: Show) -> int:
    show.opening(arguments.buyers, scene.shop_file)
    with show.starting() as started:
        scene.start(started)
    walk = _let_them_buy(arguments, scene, show)
    code = _account(scene, walk, show)
    if arguments.serve:
        show.serving(scene, kept=arguments.keep is not None)
        _until_interrupted(scene.check)
    else:
        show.next_steps(arguments.keep and scene.database)
    return code


def _let_them_buy(arguments: argparse.Namespace, scene: Scene, show: Show) -> Walk:
    from ._demo_buyers import plan

    buyers = plan(arguments.buyers, arguments.seed)
    with show.progress("buyers done", len(buyers)) as advance:
        walk = run_whole(scene.walk(buyers, pace=arguments.pace, progress=lambda walk: advance(walk.done)))
    scene.drain()
    expected = sum(row.count for row in scene.books().values())
    with show.progress("payments known", expected) as advance:
        _wait_for(scene.check, lambda: sum(row.count for row in scene.known().values()), expected, advance)
    with show.progress("setbacks known", walk.setbacks) as advance:
        _wait_for(scene.check, lambda: _setbacks(scene.funnel()), walk.setbacks, advance)
    # Room for one too many to show itself, and for the last spans to arrive.
    time.sleep(1.5)
    return walk


def _setbacks(found: FunnelReport) -> int:
    return found.declines.attempts.hits + found.expired.of


def _wait_for(
    check: Callable[[], None], count: Callable[[], int], expected: int, advance: Callable[[int], None]
) -> None:
    before, deadline = -1, 0.0
    while True:
        check()
        known = count()
        advance(min(known, expected))
        if known > before:
            before, deadline = known, time.monotonic() + SETTLE_S
        if known >= expected:
            return
        if time.monotonic() > deadline:
            return
        time.sleep(0.25)


def _account(scene: Scene, walk: Walk, show: Show) -> int:
    from ._demo_check import compare

    show.crowd(walk, scene.traffic())
    show.report(scene.report())
    show.funnel(scene.funnel())
    same = show.verdict(compare(scene.books(), scene.known()))
    trace = scene.trace(walk.example)
    if trace is not None:
        show.trace(trace)
    if walk.errors:
        show.failed("Some buyers did not get through the shop:\n" + "\n".join(f"  {e}" for e in walk.errors[:5]))
    if not same:
        show.failed(f"The shop's log may say why.{scene.complaints()}\nWith --keep FOLDER logs and data of a run stay.")
    return 0 if same and not walk.errors else 1


def _until_interrupted(check: Callable[[], None]) -> None:
    try:
        while True:
            check()
            time.sleep(0.5)
    except KeyboardInterrupt:
        print()


@contextlib.contextmanager
def _workplace(keep: Path | None) -> Iterator[Path]:
    """
    Yield a folder that is removed afterwards, or the empty one that is to be kept.

    Raises:
        ConfigError: it cannot be made, or is not empty; names the remedy.
    """
    if keep is None:
        try:
            made = tempfile.TemporaryDirectory(prefix="otel-revenue-demo-", ignore_cleanup_errors=True)
        except OSError as error:
            raise ConfigError(
                f"no temporary folder can be made ({error.strerror or error}): set TMPDIR to a folder that can be "
                "written, or name one with --keep"
            ) from None
        with made as folder:
            yield Path(folder)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        taken = any(keep.iterdir())
    except OSError as error:
        raise ConfigError(f"--keep {keep}: no such folder can be made ({error.strerror})") from None
    if taken:
        raise ConfigError(f"--keep {keep}: not empty; what is in it would be counted too. Name another one")
    yield keep.resolve()


def shop_file(named: Path | None) -> Path:
    """
    Return the shop to run.

    Raises:
        ConfigError: there is none.
    """
    path = named or Path(__file__).resolve().parents[3] / "examples" / "shop_fastapi" / "shop.py"
    if not path.is_file():
        raise ConfigError(
            f"there is no shop at {path}. The example is in the repository, not in the installed package: "
            "call this in a checkout, or name a copy of it with --shop FILE"
        )
    if not path.stem.isidentifier():
        raise ConfigError(f"--shop {path}: Python cannot import a file of that name; letters, digits and _ alone")
    return path.resolve()


def _check(arguments: argparse.Namespace) -> None:
    from ._demo_buyers import Fate

    if not len(Fate) <= arguments.buyers <= 5000:
        raise ConfigError(f"--buyers {arguments.buyers}: expected a number from {len(Fate)} to 5000, one of each kind")
    if not 0 <= arguments.pace <= 100:
        raise ConfigError(f"--pace {arguments.pace}: expected a number from 0 to 100")


def _need_extra() -> None:
    try:
        import duckdb  # noqa: F401 - only whether it is there
        import fastapi  # noqa: F401 - as above
        import httpx  # noqa: F401 - as above
        import opentelemetry.instrumentation.fastapi  # noqa: F401 - as above
        import rich  # noqa: F401 - as above
        import stripe  # noqa: F401 - as above
        import uvicorn  # noqa: F401 - as above
    except ImportError as error:
        raise MissingExtra(f'the demo needs {error.name}: pip install "otel-revenue[demo]"') from None
