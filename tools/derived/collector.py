# SPDX-License-Identifier: Apache-2.0
"""collector-config/allowlist.yaml: what may pass a Collector, of the schema's events."""

from __future__ import annotations

from otel_revenue.cli.collector import _allow_list


def outputs(mark: str) -> dict[str, str]:
    """Path and content of the file; *mark* is the sentence that says it is generated."""
    return {"collector-config/allowlist.yaml": _allow_list.document(mark)}
