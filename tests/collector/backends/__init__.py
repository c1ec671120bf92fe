# SPDX-License-Identifier: Apache-2.0
"""Every file of collector-config/backends on a real Collector before a real or a faked backend: the table of docs/collector.md."""
