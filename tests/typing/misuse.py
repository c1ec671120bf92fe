# SPDX-License-Identifier: Apache-2.0
"""A misuse that mypy must report: the proof that it reads these files at all. Never run."""

from __future__ import annotations

import otel_revenue

otel_revenue.flush("2")
