"""Decides what the replay waits for, and until when. Pure."""

from __future__ import annotations

from typing import NamedTuple

from cms_cli.replay.sending.health import Health
from cms_cli.replay.sending.pacing import Opening
from cms_cli.replay.sending.schedule import Schedule
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.sending.stopping import Stopping

TICK = 1.0
"""Longest time in seconds between two looks at the clock; answers and signals wake before."""


class Wait(NamedTuple):
    """The thing that the replay waits for.

    Attributes:
        reason: In words; "" while requests go out.
        until: When that ends, in the clock's seconds; 0 if it is not known.
        paced: Whether it is the rate limit.
    """

    reason: str = ""
    until: float = 0.0
    paced: bool = False


def waiting_for(
    now: float,
    stopping: Stopping,
    health: Health,
    opening: Opening,
    schedule: Schedule,
    *,
    next_row: bool,
    idle: bool,
) -> Wait:
    """Return what the replay waits for.

    Args:
        now: The time.
        stopping: Whether sending ends.
        health: Whether the service is ill.
        opening: The opening of the rate window when it was last read.
        schedule: The rows that were set aside.
        next_row: Whether a row could leave but for the rate window.
        idle: Whether no request is in flight.
    """
    if stopping.stop is not Stop.NONE:
        return Wait("the requests in flight", stopping.leave_by)
    if health.paused_until > now:
        return Wait(health.reason, health.paused_until)
    if next_row and opening.look_at > now:
        return Wait("the rate limit", opening.opens, paced=True)
    if idle and schedule.aside:
        return Wait(health.reason or "another replay that sends the same event", schedule.next_due() or 0.0)
    return Wait()
