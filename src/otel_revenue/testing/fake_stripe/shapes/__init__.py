# SPDX-License-Identifier: Apache-2.0
"""What Stripe's objects look like in the current API version (2026-10-28.endive). Pure: ids and times are arguments."""
