# SPDX-License-Identifier: Apache-2.0
"""How many posts are taken."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.browser import rates
from otel_revenue.browser.rates import Rates

VISITOR = "203.0.112.7"


def taken(limits, address, times, *, posts):
    """How many of *posts* at each of *times* are admitted."""
    return sum(limits.admit(address, now) for now in times for _ in range(posts))


def test_a_visitor_has_a_burst_and_then_the_rate():
    """
    Twice a minute's posts at once, and then as many a minute as were set.
    """
    limits = Rates(60, 0.0)

    assert (120, 60, 120) == (
        taken(limits, "8.8.8.8", [0.0], posts=500),
        taken(limits, "8.8.8.8", [60.0], posts=500),
        taken(limits, "8.8.8.8", [6000.0], posts=500),
    )


def test_one_visitor_does_not_use_up_the_others():
    """
    Each address has posts of its own.
    """
    limits = Rates(1, 0.0)

    assert [2, 2] == [taken(limits, address, [0.0], posts=9) for address in ("8.8.8.8", "8.8.4.4")]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2a00:1450:4001:81b::1", "2a00:1450:4001:81b:ffff::2", True),
        ("2a00:1450:4001:81b::1", "2a00:1450:4001:81c::1", False),
        ("::ffff:8.8.8.8", "8.8.8.8", True),
        (" 8.8.8.8 ", "8.8.8.8", True),
    ],
)
def test_a_visitor_of_ipv6_is_a_network(one, other, same):
    """
    Of IPv6 the first 64 bits count: a visitor has all the rest. The same IPv4 address is one, however it is written.
    """
    limits = Rates(1, 0.0)
    taken(limits, one, [0.0], posts=9)

    assert same == (taken(limits, other, [0.0], posts=9) == 0)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "fd00::1", "fe80::1%eth0", "", "unix:", "testclient", "1.2.3"],
)
def test_behind_a_proxy_nobody_is_limited_by_its_address(address):
    """
    An address that is not of the Internet is a proxy's, or none: all visitors would share its limit. The limit of all remains.
    """
    assert 1000 == taken(Rates(1, 0.0), address, [0.0], posts=1000)


def test_all_together_have_a_limit():
    """
    However many addresses a flood comes from, a process takes a bounded number of posts.
    """
    limits = Rates(60, 0.0)

    assert (2 * rates.ALL_PER_S, rates.ALL_PER_S) == (
        sum(limits.admit_any(0.0) for _ in range(10_000)), sum(limits.admit_any(1.0) for _ in range(10_000)),
    )  # fmt: skip


def test_no_address_is_kept_and_the_table_is_bounded():
    """
    What is kept of visitors is a bounded number of hashes that another process does not share; the longest unseen goes first.
    """
    limits, elsewhere = Rates(1, 0.0), Rates(1, 0.0)
    addresses = [f"8.8.{high}.{low}" for high in range(64) for low in range(128)]
    for address in addresses:
        limits.admit(address, 0.0)
        limits.admit(addresses[0], 0.0)
    elsewhere.admit(addresses[0], 0.0)

    assert (rates.MAX_CLIENTS, {8}, False, set()) == (
        len(limits._clients),
        {len(client) for client in limits._clients},
        limits.admit(addresses[0], 0.0),
        set(elsewhere._clients) & set(limits._clients),
    )


@settings(max_examples=50)
@given(text=st.text(max_size=60))
def test_whatever_stands_in_the_header_is_survived(text):
    """
    The address may come from a header: no text of it raises.
    """
    assert Rates(60, 0.0).admit(text, 0.0) in (True, False)
