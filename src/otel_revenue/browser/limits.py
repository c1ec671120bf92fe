# SPDX-License-Identifier: Apache-2.0
"""What one post of a browser may hold. The browser's module is generated with the same numbers."""

from __future__ import annotations

from typing import Final

MAX_BODY: Final = 16384
"""Bytes."""

MAX_EVENTS: Final = 20
