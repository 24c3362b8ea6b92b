"""Tells what the replay is waiting for, and until when. Pure."""

from __future__ import annotations

from typing import NamedTuple

from cms_cli.replay.sending.health import Health
from cms_cli.replay.sending.pacing import Opening
from cms_cli.replay.sending.schedule import Schedule
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.sending.stopping import Stopping

TICK = 1.0
"""The longest time to wait without checking the clock, in seconds; answers and signals end a wait earlier."""


class Wait(NamedTuple):
    """A reason for which the replay waits.

    Attributes:
        reason: The reason for people; "" while requests are sent.
        until: The time at which the wait ends, in epoch seconds; 0 if it is not known.
        paced: Whether the reason is the rate limit.
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
    """Return what the replay is waiting for.

    Args:
        now: The time in epoch seconds.
        stopping: The reasons to stop.
        health: The health of the service.
        opening: The free slots of the rate window when they were last read.
        schedule: The rows that are set aside.
        next_row: Whether a row could be sent, apart from the rate window.
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
