"""Notices about rows, collected while they are mapped, for warnings. A row with a notice is sent all the same."""

from __future__ import annotations

from dataclasses import dataclass, field

from cms_cli.replay.problems import ProblemGroups

OPTIONAL = ("customer_email", "customer_name", "customer_avatar")
"""Fields whose bad values are left out of their events, with a notice."""


@dataclass
class Notices:
    """The notices about the rows of a file.

    Attributes:
        left_out: The problems of optional values that were left out.
        without_click: The number of leads with neither a click id nor a mode, which are follow-ups of a deferred
            lead.
        without_customer: The number of sales that name no customer, so that the invoice's id is used instead.
    """

    left_out: ProblemGroups = field(default_factory=ProblemGroups)
    without_click: int = 0
    without_customer: int = 0
