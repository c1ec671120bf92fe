# SPDX-License-Identifier: Apache-2.0
"""What derives from the schema, a topic each: a function that returns the content of each file by its path."""
