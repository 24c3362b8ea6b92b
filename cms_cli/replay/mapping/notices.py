"""Observations made while rows are mapped; none of them keeps a row from being sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from cms_cli.replay.problems import ProblemGroups

OPTIONAL = ("customer_email", "customer_name", "customer_avatar")
"""Fields whose bad value is left out: it costs no event."""


@dataclass
class Notices:
    """Counts of rows.

    Attributes:
        left_out: Values of optional fields that break a rule, and were left out of their events.
        without_click: Leads without a click and without a mode: follow-ups of a deferred lead.
        without_customer: Rows whose customer is known by the sale's own id, since they name none.
    """

    left_out: ProblemGroups = field(default_factory=ProblemGroups)
    without_click: int = 0
    without_customer: int = 0
