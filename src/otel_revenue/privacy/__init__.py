# SPDX-License-Identifier: Apache-2.0
"""What must not leave: value detectors and length limits. The allow-list itself is the schema."""
