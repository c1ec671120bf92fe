# SPDX-License-Identifier: Apache-2.0
"""The fixtures that the testing kit offers to applications."""

from __future__ import annotations

import pytest

from otel_revenue import _guard, bind
from otel_revenue.errors import SchemaError
from otel_revenue.testing import plugin

strict_revenue = plugin.strict_revenue


@pytest.mark.swallow
def test_a_wrong_value_is_silent_in_production() -> None:
    """Without the fixture the application goes on."""
    bind(order_id=1.5)  # type: ignore[arg-type]

    assert 1 == _guard.failures["api.bind"]


@pytest.mark.swallow
def test_a_wrong_value_raises_in_strict_tests(strict_revenue: None) -> None:
    """With it the test of an application fails with the reason."""
    with pytest.raises(SchemaError, match="order_id must be text"):
        bind(order_id=1.5)  # type: ignore[arg-type]
