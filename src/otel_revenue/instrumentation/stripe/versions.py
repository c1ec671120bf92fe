# SPDX-License-Identifier: Apache-2.0
"""Which releases of the stripe library can be observed, and the one line that says so when the installed one cannot."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

OLDEST: Final = (8, 0)
"""From here on every call passes `_APIRequestor.request_raw`, or its async twin, exactly once."""

_NUMBERS = re.compile(r"\s*v?(\d{1,6})(?:\.(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class Support:
    """
    Whether a stripe library can be observed.

    Attributes:
        active: False means dormant: nothing is patched.
        text: one line, for the log and for `doctor`; names the version found and the one needed.
    """

    active: bool
    text: str


def support(installed: str | None, missing: Sequence[str] = ()) -> Support:
    """
    Decide whether the hooks may be set.

    Args:
        installed: version of the stripe library, None when there is none.
        missing: names that we patch and did not find in it, once it is imported.

    A version that cannot be read is not refused: then the names decide.
    """
    needed = ".".join(map(str, OLDEST))
    if installed is None:
        return Support(False, f"stripe is not installed ({needed} or newer is needed): otel-revenue stays dormant")
    numbers = _NUMBERS.match(installed)
    if numbers is not None and (int(numbers[1]), int(numbers[2] or 0)) < OLDEST:
        return Support(
            False, f"stripe {installed} is too old ({needed} or newer is needed): otel-revenue stays dormant"
        )
    if missing:
        return Support(
            False,
            f"stripe {installed} lacks {', '.join(missing)} ({needed} or newer is needed): "
            "otel-revenue does not observe what passes there",
        )
    return Support(True, f"stripe {installed} is observed")


def installed_version() -> str | None:
    """Return the version of the stripe library that is imported, else of the one that is installed, else None. Imports nothing."""
    imported = getattr(sys.modules.get("stripe._version"), "VERSION", None)
    if isinstance(imported, str):
        return imported
    try:
        return importlib.metadata.version("stripe")
    except importlib.metadata.PackageNotFoundError:
        return None
