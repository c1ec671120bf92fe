# SPDX-License-Identifier: Apache-2.0
"""Which senders there are, and which one the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_revenue._guard import logger
from otel_revenue.errors import MissingExtra

from .otlp_grpc import OtlpGrpc
from .otlp_http import OtlpHttp
from .otlp_settings import GRPC
from .unavailable import Unavailable

if TYPE_CHECKING:
    from .destination import Destination
    from .otlp_settings import OtlpSettings

OTLP: str = "otlp"


def otlp(settings: OtlpSettings, resource: bytes, scope: bytes, version: str) -> Destination:
    """
    Return the sender that speaks the protocol of *settings*.

    Args:
        settings: where and how.
        resource, scope: encoded, of this process.
        version: ours, for the User-Agent.
    """
    if settings.protocol != GRPC:
        return OtlpHttp(settings, resource, scope, version)
    try:
        return OtlpGrpc(settings, resource, scope, version)
    except MissingExtra as error:
        logger.error("otel-revenue: %s. Until then events wait in the store.", error)
        return Unavailable(OTLP, "grpcio is not installed")
