# SPDX-License-Identifier: Apache-2.0
"""promtool and prometheus, where `make prometheus` found them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """Return the path of `promtool` or `prometheus`; skips the test where there is none, which CI takes as a failure."""
    path = Path(os.environ.get("OTEL_REVENUE_TEST_PROMETHEUS", ""), name)
    if not path.is_absolute() or not path.is_file():
        pytest.skip(
            f"needs {name}: run `make test`, or `make prometheus` and name the folder in OTEL_REVENUE_TEST_PROMETHEUS"
        )
    return str(path)
