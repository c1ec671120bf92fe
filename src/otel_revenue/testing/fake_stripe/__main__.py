# SPDX-License-Identifier: Apache-2.0
"""
A fake Stripe in a process of its own, on 127.0.0.1.

    python -m otel_revenue.testing.fake_stripe --port 12111 --endpoint http://127.0.0.1:8000/webhooks/stripe

Any `sk_test_...` key is taken; webhooks are signed with whsec_fake_stripe_on_loopback. What buyers do, the books and the
record of deliveries are under /_fake/ (see otel_revenue.testing.fake_stripe.control).
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import threading
from typing import TYPE_CHECKING

from .fake import FakeStripe
from .world import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; the first line of output is the address."""
    given = _parser().parse_args(argv)
    try:
        fake = FakeStripe(port=given.port, seed=given.seed, api_version=given.api_version, livemode=given.live)
        fake.webhooks.configure(
            duplicates=given.duplicates, reorder=given.reorder, drop=given.drop, concurrency=given.concurrency
        )
        for url in given.endpoint:
            fake.add_endpoint(url, api_version=given.endpoint_api_version)
        fake.start()
    except (OSError, OverflowError, ValueError) as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201 - a command line prints
        return 2
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    print(fake.url, flush=True)  # noqa: T201 - the address, for whoever started this
    ended.wait()
    fake.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m otel_revenue.testing.fake_stripe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    # Unlike FakeStripe's own: whoever starts it anew beside a ledger that stays must not meet payments that it knows already.
    parser.add_argument(
        "--seed",
        type=int,
        default=secrets.randbits(32),
        help="the same seed and calls give the same ids; default: others at each start",
    )
    parser.add_argument("--api-version", default=API_VERSION, help="of the account; default: %(default)s")
    parser.add_argument("--live", action="store_true", help="say livemode everywhere, and take sk_live_ keys")
    parser.add_argument(
        "--endpoint", action="append", default=[], metavar="URL", help="send events there; may be repeated"
    )
    parser.add_argument(
        "--endpoint-api-version", default=None, metavar="VERSION", help="of the events; default: account's"
    )
    parser.add_argument("--duplicates", type=int, default=1, help="deliver each event so many times")
    parser.add_argument("--reorder", action="store_true", help="shuffle deliveries within a quarter of a second")
    parser.add_argument("--drop", type=float, default=0.0, help="share of deliveries that never arrive, 0 to 1")
    parser.add_argument("--concurrency", type=int, default=1, help="deliveries at a time to one endpoint")
    return parser


if __name__ == "__main__":
    sys.exit(main())
