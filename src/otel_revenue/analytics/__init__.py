# SPDX-License-Identifier: Apache-2.0
"""Local analytics: an OTLP receiver, a DuckDB file, and what the numbers of the report mean. Needs `otel-revenue[local]`."""
