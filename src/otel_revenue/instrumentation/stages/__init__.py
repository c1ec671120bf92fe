# SPDX-License-Identifier: Apache-2.0
"""Stages without code: which route is which event, for FastAPI, Starlette, Flask, Django, and for others through a middleware."""
