# SPDX-License-Identifier: Apache-2.0
"""
A fake Stripe in a process of its own.

    python -m otel_revenue.testing.fake_stripe --port 12111 --endpoint http://127.0.0.1:8000/webhooks/stripe
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import TYPE_CHECKING

from .fake import WEBHOOK_SECRET, FakeStripe

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; the first line of output is the address."""
    parser = argparse.ArgumentParser(prog="python -m otel_revenue.testing.fake_stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--seed", type=int, default=1, help="the same seed and calls give the same ids")
    parser.add_argument("--api-version", default=None, help="of the account; default: the newest that the fake knows")
    parser.add_argument("--api-key", default=None, help="accept this key alone; default: any sk_test_ key")
    parser.add_argument(
        "--endpoint", action="append", default=[], metavar="URL", help="send events there; may be repeated"
    )
    parser.add_argument("--secret", default=WEBHOOK_SECRET, help="of the endpoints")
    parser.add_argument("--duplicates", type=int, default=1, help="deliver each event so many times")
    parser.add_argument("--reorder", action="store_true", help="shuffle deliveries")
    given = parser.parse_args(argv)
    try:
        version = {"api_version": given.api_version} if given.api_version else {}
        fake = FakeStripe(port=given.port, seed=given.seed, api_key=given.api_key, **version)
        fake.webhooks.configure(duplicates=given.duplicates, reorder=given.reorder)
        for url in given.endpoint:
            fake.add_endpoint(url, secret=given.secret)
        fake.start()
    except (OSError, ValueError) as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201  a command line prints
        return 2
    print(fake.url, flush=True)  # noqa: T201  the address, for whoever started this
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    fake.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
