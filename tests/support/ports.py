"""Ports for servers that are told theirs, and that go away and come back at the same address."""

from __future__ import annotations

import secrets
import socket
from typing import Final

_BELOW_EPHEMERAL: Final = range(10_000, 32_000)


def free_port() -> int:
    """
    Return a port that is free, and that nobody takes by accident while its server is not up yet, or down for a moment.

    What asks for port 0, and every connection, gets its port from the range above: one from there may be somebody else's a
    moment later, another test's receiver for instance, which would then be sent this test's events.
    """
    while True:
        port = secrets.choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
