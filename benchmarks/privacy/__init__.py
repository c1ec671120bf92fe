# SPDX-License-Identifier: Apache-2.0
"""What masks personal data, compared: how much of it, at the cost of how many false alarms, how fast, and on hostile input."""
