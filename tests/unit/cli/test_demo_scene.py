# SPDX-License-Identifier: Apache-2.0
"""The demo's processes: what they may see, and how they are found."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.cli._demo_scene import Scene, announced, environment

NAMES = st.sampled_from(
    ["STRIPE_API_KEY", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_REVENUE_STORE", "UVICORN_PORT", "WEB_CONCURRENCY",
     "HTTPS_PROXY", "http_proxy", "SHOP_DATABASE", "PATH", "HOME", "LANG"]
)  # fmt: skip


@given(environ=st.dictionaries(NAMES, st.text()))
def test_the_developers_settings_stay_outside(environ):
    """
    A real Stripe key, a company's OTLP headers or a proxy in the shell never reach the demo's parts.
    """
    seen = environment(environ)

    assert {"PATH", "HOME", "LANG"} & set(environ) == set(seen) - {"PYTHONUNBUFFERED"}


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("", None),
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("a warning about http://127.0.0.1:1\nhttp://127.0.0.1:4711\nhttp://127.0.0.1:2\n", "http://127.0.0.1:4711"),
        ("http://127.0.0.1:80 is taken\n", None),
    ],
    ids=["nothing yet", "the address", "among others", "no address alone"],
)
def test_the_address_is_read_from_the_log(tmp_path, log, found):
    """
    A part on a free port says which one; nothing else is taken for it.
    """
    path = tmp_path / "log"
    path.write_text(log)

    assert found == announced(path)


def test_a_log_that_is_not_there_yet_has_no_address(tmp_path):
    """
    The demo may look before the part has begun to write.
    """
    assert None is announced(tmp_path / "nothing")


def test_the_shops_port_cannot_be_taken_meanwhile(tmp_path):
    """
    The shop's port is held from the beginning, and each demo has its own.
    """
    one, two = (Scene(tmp_path, tmp_path / "shop.py", {}) for _ in range(2))
    port = int(one.shop_url.rpartition(":")[2])
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    one.close()
    two.close()

    assert one.shop_url != two.shop_url
