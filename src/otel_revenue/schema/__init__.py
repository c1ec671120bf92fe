# SPDX-License-Identifier: Apache-2.0
"""The schema of what leaves: money, attributes, events. `_table` is the generated form that the hot path reads."""
