# SPDX-License-Identifier: Apache-2.0
"""From disk to an acknowledgement: spool, senders, worker."""
