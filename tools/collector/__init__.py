# SPDX-License-Identifier: Apache-2.0
"""The OpenTelemetry Collector for tests and benchmarks: found where there is one, else built."""
