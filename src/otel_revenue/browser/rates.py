# SPDX-License-Identifier: Apache-2.0
"""How many posts are taken: of one visitor's address, and of all together. No address is kept."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import threading
from typing import Final

ALL_PER_S: Final = 100.0
"""Posts of all visitors that a process takes in a second: what is beyond costs no more than to say so."""

MAX_CLIENTS: Final = 4096


class Bucket:
    """Tokens that come back at *per_s* a second up to *most*; *at_s* is now, monotonic seconds."""

    __slots__ = ("_at_s", "_most", "_per_s", "_tokens")

    def __init__(self, per_s: float, most: float, at_s: float) -> None:
        self._per_s = per_s
        self._most = self._tokens = most
        self._at_s = at_s

    def takes(self, now_s: float) -> bool:
        """Take a token, if there is one."""
        self._tokens = min(self._most, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Rates:
    """
    The limits of one process. Safe from any thread.

    A visitor is known by a hash of the address, with a key that is random and lives as long as the process; the longest unseen
    of more than `MAX_CLIENTS` is forgotten.

    Args:
        per_minute: posts of one visitor; twice as many at once.
        now_s: monotonic seconds.
    """

    def __init__(self, per_minute: float, now_s: float) -> None:
        self._per_s = per_minute / 60
        self._most = 2 * per_minute
        self._key = os.urandom(16)
        self._all = Bucket(ALL_PER_S, 2 * ALL_PER_S, now_s)
        self._clients: dict[bytes, Bucket] = {}
        self._lock = threading.Lock()

    def admit_any(self, now_s: float) -> bool:
        """Count a post, whoever sends it."""
        with self._lock:
            return self._all.takes(now_s)

    def admit(self, address: str, now_s: float) -> bool:
        """Count a post of one visitor; where only a proxy's address is known there is none to count by."""
        network = _network(address)
        if network is None:
            return True
        client = hashlib.blake2b(network, key=self._key, digest_size=8).digest()
        with self._lock:
            bucket = self._clients.pop(client, None) or Bucket(self._per_s, self._most, now_s)
            self._clients[client] = bucket  # the last seen stands last
            if len(self._clients) > MAX_CLIENTS:
                del self._clients[next(iter(self._clients))]
            return bucket.takes(now_s)


def _network(address: str) -> bytes | None:
    """Return what one visitor has of an address (of IPv6, the first 64 bits); None for one that is not of the Internet."""
    try:
        found = ipaddress.ip_address(address.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    if found.version == 6 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.packed[:8] if found.is_global else None
