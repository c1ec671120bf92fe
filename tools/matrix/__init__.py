# SPDX-License-Identifier: Apache-2.0
"""The versions that we say we support, tried: `make matrix`. One cell is one environment and the tests that depend on it."""
