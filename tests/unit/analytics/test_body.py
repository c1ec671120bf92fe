"""What may stand in a request's body, and how large it may grow."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_revenue.analytics.body import Encoding, Refused, encoding_of, unpack


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


PACKERS = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress, "Deflate": raw_deflate}


@pytest.mark.parametrize("coding", PACKERS)
@settings(max_examples=30)
@given(data=st.binary(max_size=5000))
def test_each_coding_is_undone(coding: str, data: bytes) -> None:
    """
    A body arrives as it was before compression, whichever coding of HTTP was used.
    """
    unpacked = unpack(PACKERS[coding](data), coding)

    assert data == unpacked


@pytest.mark.parametrize("coding", ["gzip", "deflate", "Deflate"])
def test_a_small_body_that_grows_is_refused(coding: str) -> None:
    """
    The limit counts what comes out of the compression: a bomb is refused, a body of exactly the limit is not.
    """
    limit = 1_000_000
    bomb, full = PACKERS[coding](bytes(50 * limit)), PACKERS[coding](bytes(limit))

    with pytest.raises(Refused) as refused:
        unpack(bomb, coding, limit)

    assert 413 == refused.value.status
    assert limit == len(unpack(full, coding, limit))


def test_gzip_members_count_together() -> None:
    """
    Several gzip members are one body, also for the limit.
    """
    members = gzip.compress(b"a" * 600) + gzip.compress(b"b" * 600)

    with pytest.raises(Refused) as refused:
        unpack(members, "gzip", 1000)

    assert b"a" * 600 + b"b" * 600 == unpack(members, "gzip", 1200)
    assert 413 == refused.value.status


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        pytest.param(b"no gzip", "gzip", 400, id="no gzip"),
        pytest.param(gzip.compress(b"abc" * 100)[:-9], "gzip", 400, id="cut off"),
        pytest.param(b"", "gzip", 400, id="empty"),
        pytest.param(b"\x78\x9czzz", "deflate", 400, id="damaged"),
        pytest.param(b"x", "br", 415, id="another coding"),
        pytest.param(b"x" * 501, "", 413, id="too large as it is"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(body: bytes, coding: str, status: int) -> None:
    """
    A damaged body, an unknown coding and one that is too large are told apart.
    """
    with pytest.raises(Refused) as refused:
        unpack(body, coding, 500)

    assert status == refused.value.status


def test_the_media_type_decides_the_encoding() -> None:
    """
    Parameters and letter case of the type mean nothing; another type is refused with 415.
    """
    assert Encoding.JSON is encoding_of("Application/JSON; charset=utf-8")
    assert Encoding.PROTOBUF is encoding_of("application/x-protobuf")
    for other in ("", "text/plain", "application/x-www-form-urlencoded"):
        with pytest.raises(Refused) as refused:
            encoding_of(other)
        assert 415 == refused.value.status
