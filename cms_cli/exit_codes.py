"""The exit codes, and the pure mapping from an outcome to its exit code."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from cms_python import EventKind, Outcome, Status


class ExitCode(IntEnum):
    """The program's exit codes, which are part of its contract with users."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    INTERNAL = 3
    AUTH = 4
    UNAVAILABLE = 5
    UNKNOWN = 6
    STOPPED = 7
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS = {
    ExitCode.OK: "Everything was accepted; duplicates are fine.",
    ExitCode.REFUSED: "The service refused an event; or --skip-invalid left rows out; or a setting has no value.",
    ExitCode.USAGE: "Bad usage or bad input; nothing was sent.",
    ExitCode.INTERNAL: "A failure on this machine or of the shared state: disk, journal, database, a bug.",
    ExitCode.AUTH: "No token, or the service does not accept it.",
    ExitCode.UNAVAILABLE: "The service was not reached, stayed busy, or is not the API; run the command again.",
    ExitCode.UNKNOWN: "An event may or may not have arrived.",
    ExitCode.STOPPED: "Stopped by --max-failures or --max-duration.",
    ExitCode.HUNG_UP: "Stopped because the terminal was closed (SIGHUP).",
    ExitCode.INTERRUPTED: "Stopped by Ctrl-C.",
    ExitCode.TERMINATED: "Stopped by SIGTERM.",
}


PRECEDENCE = (
    ExitCode.HUNG_UP,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.INTERNAL,
    ExitCode.AUTH,
    ExitCode.UNAVAILABLE,
    ExitCode.STOPPED,
    ExitCode.UNKNOWN,
    ExitCode.REFUSED,
)


def first_of(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code with the highest precedence; OK if there is none."""
    held = set(codes)
    return next((code for code in PRECEDENCE if code in held), ExitCode.OK)


def of_event(kind: EventKind, outcome: Outcome) -> ExitCode:
    """Return the exit code for the outcome of a single event."""
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
    # A sale that got no answer can be sent again: the service deduplicates it by invoice.
    return ExitCode.UNAVAILABLE
