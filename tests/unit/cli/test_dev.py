# SPDX-License-Identifier: Apache-2.0
"""What `otel-revenue dev` says."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from otel_revenue.cli.dev import opening


@pytest.mark.parametrize(
    ("database", "usual", "expected"),
    [
        pytest.param("/home/a/local.duckdb", True, ["otel-revenue", "report", "--test-mode"], id="the usual one"),
        pytest.param(
            "/tmp/my shop.duckdb",
            False,
            ["otel-revenue", "report", "--database", "/tmp/my shop.duckdb", "--test-mode"],
            id="another",
        ),
    ],
)
def test_the_report_that_it_names_reads_the_same_database(database, usual, expected):
    """
    The command that `dev` tells to type finds what `dev` keeps, also where that is not the usual file.
    """
    text = opening("http://127.0.0.1:4318", Path(database), usual=usual)
    (command,) = [line for line in text.splitlines() if "otel-revenue report" in line]

    assert expected == shlex.split(command)
