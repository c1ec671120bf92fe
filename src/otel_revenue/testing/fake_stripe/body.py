# SPDX-License-Identifier: Apache-2.0
"""Reading a request's body within a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

LARGEST: Final = 2 * 1024 * 1024
"""Bytes. A Checkout Session with a hundred lines of everything has some 200 KiB."""


class TooLarge(ValueError):
    """The body has more bytes than `LARGEST`."""


async def read(request: Request) -> bytes:
    """
    Return the body.

    Raises:
        TooLarge: it is; the rest of it is not read.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            raise TooLarge(f"the body has more than {LARGEST} bytes")
        parts.append(part)
    return b"".join(parts)
