"""Designs and orders."""

from __future__ import annotations

import secrets

from django.db import models


def design_id() -> str:
    return f"d-{secrets.token_hex(6)}"


def order_id() -> str:
    return f"order-{secrets.token_hex(6)}"


class Design(models.Model):
    id = models.CharField(primary_key=True, max_length=40, default=design_id)
    motif = models.CharField(max_length=500)
    approved = models.BooleanField(default=False)


class Order(models.Model):
    id = models.CharField(primary_key=True, max_length=40, default=order_id)
    tier = models.CharField(max_length=20)
    currency = models.CharField(max_length=3)
    design_id = models.CharField(max_length=40, blank=True)
    session_id = models.CharField(max_length=100, blank=True, db_index=True)
    status = models.CharField(max_length=20, default="open")
