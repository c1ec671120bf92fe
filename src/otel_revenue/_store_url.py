# SPDX-License-Identifier: Apache-2.0
"""A database's URL, which may hold a password."""

from __future__ import annotations

import re
from typing import Final

SCHEMES: Final = ("postgresql://", "postgres://")


class StoreUrl(str):
    """
    A URL that whatever prints it prints without password and options: in logs, in a `repr`, in an error.

    `secret` is the whole of it, for the driver alone.
    """

    __slots__ = ()

    @property
    def secret(self) -> str:
        """The URL as it was given."""
        return str.__str__(self)

    @property
    def location(self) -> str:
        """Scheme, user, hosts and database."""
        rest = self.secret.partition("://")[2]
        # A password that is not percent-encoded may hold anything: all up to the last @ is taken for user and password.
        before, _, after = rest.rpartition("@")
        user = re.split(r"[:/?#]", before, maxsplit=1)[0]
        where = re.split(r"[?#&]", after, maxsplit=1)[0]
        return f"postgresql://{f'{user}@' if user else ''}{where}"

    @property
    def has_password(self) -> bool:
        """Whether a password is in it."""
        rest = self.secret.partition("://")[2]
        return ":" in rest.rpartition("@")[0] or re.search(r"[?&](?:ssl)?password=", rest) is not None

    def __str__(self) -> str:
        return self.location

    def __repr__(self) -> str:
        return repr(self.location)

    def __format__(self, spec: str) -> str:
        return format(self.location, spec)
