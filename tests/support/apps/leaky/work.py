"""
An application that is careless with what it knows of a customer, in the ways in which applications are.

It asks "Stripe" for a customer (FAR_END answers like Stripe's API), logs it, calls other services with it, writes it into a database,
and raises with it in its messages.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import httpx
import requests
import stripe
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

FAR_END = os.environ["FAR_END"]
stripe.api_key = "sk_test_" + "leaky" * 5
stripe.api_base = FAR_END
stripe.max_network_retries = 0
stripe.log = "debug"

logging.getLogger().setLevel(logging.INFO)
for name in ("shop", "stripe", "httpx", "sqlalchemy.engine", "requests"):
    logging.getLogger(name).setLevel(logging.DEBUG)
logger = logging.getLogger("shop")

engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
tables = MetaData()
people = Table(
    "people",
    tables,
    Column("id", Integer, primary_key=True),
    Column("email", String, unique=True),
    Column("name", String),
)
tables.create_all(engine)


class Address(BaseModel):
    """What the shop takes for an address."""

    city: int


def success() -> None:
    """Everything works, and is logged."""
    logging.getLogger("urllib3").setLevel(logging.DEBUG)  # not for ever: the exporter's own requests are logged as well
    customer = stripe.Customer.retrieve("cus_NffrFeUfNV2Hib")
    logger.debug("customer: %s", customer)
    logger.info("customer as a dict: %r", customer.to_dict())
    logger.warning(
        "customer",
        extra={"customer.email": customer.email, "customer.name": customer.name, "customer": customer.to_dict()},
    )
    requests.get(
        f"{FAR_END}/crm",
        params={"email": customer.email, "name": customer.name},
        headers={"Authorization": "Bearer 0123456789abcdef"},
        timeout=10,
    )
    logging.getLogger("urllib3").setLevel(logging.INFO)
    httpx.get(f"{FAR_END}/crm", params={"email": customer.email, "phone": customer.phone}, timeout=10)
    with engine.begin() as database:
        database.execute(people.insert(), {"email": customer.email, "name": customer.name})
        database.execute(text(f"SELECT * FROM people WHERE name = '{customer.name}' OR email = '{customer.email}'"))


def decline() -> None:
    """The card is declined, and the answer of Stripe's API logged."""
    try:
        stripe.PaymentIntent.create(amount=100, currency="eur")
    except stripe.CardError as error:
        logger.exception("declined")
        logger.error("declined: %s", error.json_body)


def validation() -> None:
    """What a customer typed is not what the shop takes."""
    customer = stripe.Customer.retrieve("cus_NffrFeUfNV2Hib")
    Address.model_validate({"city": customer.address.city})


def database() -> None:
    """The database refuses, and says what it was given."""
    customer = stripe.Customer.retrieve("cus_NffrFeUfNV2Hib")
    with engine.begin() as connection:
        connection.execute(people.delete())
        connection.execute(people.insert(), {"email": customer.email, "name": customer.name})
        try:
            connection.execute(people.insert(), {"email": customer.email, "name": customer.name})
        except IntegrityError:
            logger.exception("twice")
            raise


def boom() -> None:
    """Nobody handles what is raised, with a name in its message."""
    customer = stripe.Customer.retrieve("cus_NffrFeUfNV2Hib")
    try:
        raise KeyError(customer.phone)
    except KeyError as error:
        raise RuntimeError(f"cannot ship to {customer.name}\n{customer.address.line1}") from error


def end() -> None:
    """Say that all has been said: what was logged before comes before it."""
    logger.info("the end", extra={"http.route": "/the-end-of-it"})


WAYS: dict[str, Any] = {way.__name__: way for way in (success, decline, validation, database, boom, end)}
