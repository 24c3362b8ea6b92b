"""A second computation of the report's numbers: event by event, without SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from cms_cli.sandbox import SandboxEvent


def by_click(events: Iterable[SandboxEvent]) -> dict[str, dict[str, Any]]:
    """Return the leads, sales and amounts by currency of each click."""
    found: dict[str, dict[str, Any]] = defaultdict(lambda: {"leads": 0, "sales": 0, "revenue": Counter()})
    for event in events:
        click = found[event.click_id]
        click[f"{event.kind}s"] += 1
        if event.amount is not None:
            click["revenue"][event.currency] += event.amount
    return dict(found)


def revenue(events: Iterable[SandboxEvent]) -> dict[str, int]:
    """Return the amounts by currency of all events."""
    found: Counter[str] = Counter()
    for event in events:
        if event.amount is not None:
            found[str(event.currency)] += event.amount
    return dict(found)
