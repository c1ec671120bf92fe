# SPDX-License-Identifier: Apache-2.0
"""The web server's side: when a process begins to serve, and when it stops."""
