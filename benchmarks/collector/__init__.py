# SPDX-License-Identifier: Apache-2.0
"""The Collector with the base against the same Collector without it: `make bench-collector`."""
