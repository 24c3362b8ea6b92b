"""The exit codes, and the pure mapping from what became of events to one of them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from cms_python import EventKind, Outcome, Status


class ExitCode(IntEnum):
    """What the program tells the shell. Part of the contract with users."""

    OK = 0
    """Everything accepted; duplicates are fine."""
    REFUSED = 1
    """The service refused an event, or rows were invalid and left out on request."""
    USAGE = 2
    """Bad usage or bad input; nothing was sent."""
    INTERNAL = 3
    """A failure on this machine: disk, state folder, journal, a bug."""
    AUTH = 4
    """No token, or the service does not accept it."""
    UNAVAILABLE = 5
    """The service could not be reached, stayed busy, or what answered is not the API; go on later."""
    UNKNOWN = 6
    """An event may or may not have arrived."""
    STOPPED = 7
    """Stopped by --max-failures or --max-duration."""
    HUNG_UP = 129
    """The terminal was closed (SIGHUP)."""
    INTERRUPTED = 130
    """Ctrl-C."""
    TERMINATED = 143
    """SIGTERM."""


_PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.HUNG_UP,
    ExitCode.TERMINATED,
    ExitCode.INTERNAL,
    ExitCode.AUTH,
    ExitCode.UNAVAILABLE,
    ExitCode.STOPPED,
    ExitCode.UNKNOWN,
    ExitCode.REFUSED,
)


def first_of(codes: Iterable[ExitCode]) -> ExitCode:
    """Give the code that counts where several hold; OK where none does."""
    held = set(codes)
    return next((code for code in _PRECEDENCE if code in held), ExitCode.OK)


def of_event(kind: EventKind, outcome: Outcome) -> ExitCode:
    """Give the exit code for a single event."""
    if outcome.status in (Status.ACCEPTED, Status.DUPLICATE):
        return ExitCode.OK
    if outcome.status is Status.INVALID:
        return ExitCode.USAGE
    if outcome.status is Status.REFUSED:
        return ExitCode.REFUSED
    if outcome.status is Status.UNAUTHORIZED:
        return ExitCode.AUTH
    if outcome.may_have_arrived and kind is EventKind.LEAD:
        return ExitCode.UNKNOWN
    # A sale that got no answer can be sent again: the invoice dedupes it.
    return ExitCode.UNAVAILABLE
