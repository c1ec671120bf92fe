# SPDX-License-Identifier: Apache-2.0
"""From an event to signals: log record, span event, span attributes, metrics. The only user of OpenTelemetry's private log API."""
