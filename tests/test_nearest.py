"""Suggestions for mistyped names: made where they are likely right, and nowhere else."""

from __future__ import annotations

import pytest
import typer.main

from cms_cli.app import app
from cms_cli.config.keys import KEYS
from cms_cli.nearest import nearest
from cms_cli.replay.mapping.presets import names
from cms_python import SALE_FIELDS

COLUMNS = ("Order ID", "Total", "Shipping Total", "Email", "Created at", "Currency", "Note Attributes")
ZONES = ("Europe/Berlin", "Europe/Paris", "America/New_York", "America/Chicago", "America/Denver", "America/Lima")


def commands() -> list[str]:
    return list(typer.main.get_command(app).list_commands(None))  # type: ignore[attr-defined]


def flags() -> list[str]:
    command = typer.main.get_command(app).get_command(None, "sale")  # type: ignore[attr-defined]
    return [flag for param in command.params for flag in param.opts]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("laed", "lead"),
        ("Lead", "lead"),
        ("leads", "lead"),
        ("slae", "sale"),
        ("run", "runs"),
        ("sanbox", "sandbox"),
        ("conf", "config"),
        ("preset", "presets"),
        ("auht", "auth"),
        ("stat", "state"),
        *((word, "") for word in ("deploy", "init", "send", "test", "push", "x", "-", "")),
    ],
)
def test_of_a_mistyped_command(typed: str, meant: str) -> None:
    """A command with nearly the same letters is suggested; an unrelated word gets no suggestion."""
    assert " ".join(nearest(typed, commands())) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--clickid", "--click-id"),
        ("--click_id", "--click-id"),
        ("--clik-id", "--click-id"),
        ("--ammount", "--amount"),
        ("--curency", "--currency"),
        ("--concurency", "--concurrency"),
        ("--invoice", "--invoice-id"),
        ("--email", "--customer-email"),
        ("--customer-id", "--customer-external-id"),
        ("--external-id", "--customer-external-id"),
        ("--name", "--event-name --customer-name"),
        ("--csv", "--from-csv"),
        ("--dryrun", "--dry-run"),
        ("--time-zone", "--timezone"),
        ("--unit", "--amount-unit"),
        ("--token", "--token-file"),
        ("--output-format", "--output"),
        ("--skip-unatributed", "--skip-unattributed"),
        ("--no-colour", "--no-color"),
        ("--emial", "--customer-email"),
        ("--custmer-emial", "--customer-email"),
        ("--nmae", "--event-name --customer-name"),
        ("--invioce", "--invoice-id"),
        *((word, "") for word in ("--tz", "--silent", "--force", "--parallel", "--url", "--api-key", "--customer")),
        *((word, "") for word in ("--resume", "--filter", "--user", "--refund", "--verify", "--price", "--since")),
    ],
)
def test_of_a_mistyped_flag(typed: str, meant: str) -> None:
    """A flag is suggested for a part of its name, whatever the dashes; several are if several match."""
    assert sorted(nearest(typed, flags())) == sorted(meant.split())


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("clickid", SALE_FIELDS, ["click_id"]),
        ("email", SALE_FIELDS, ["customer_email"]),
        ("customer_id", SALE_FIELDS, ["customer_external_id"]),
        ("price", SALE_FIELDS, []),
        ("date", SALE_FIELDS, []),
        ("hots", KEYS, ["host"]),
        ("token_cmd", KEYS, ["token_command", "token"]),
        ("STATE-DIR", KEYS, ["state_dir"]),
        ("colour", KEYS, []),
        ("strip", names(), ["stripe"]),
        ("woo", names(), ["woocommerce"]),
        ("wo", names(), []),
        ("magento", names(), []),
        ("Order Total", COLUMNS, ["Total"]),
        ("total", COLUMNS, ["Total"]),
        ("Created", COLUMNS, ["Created at"]),
        ("Status", COLUMNS, []),
        ("Berlin", ZONES, ["Europe/Berlin"]),
        ("new york", ZONES, ["America/New_York"]),
        ("Paris/Europe", ZONES, ["Europe/Paris"]),
        ("America", ZONES, []),
        ("CEST", ZONES, []),
    ],
)
def test_of_other_names(typed: str, known: list[str], meant: list[str]) -> None:
    """The same rule applies to fields, keys, presets, columns and time zones."""
    assert nearest(typed, known) == meant
