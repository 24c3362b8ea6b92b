"""The exit codes, which scripts rely on: their numbers, their order, and what one event ends with."""

from __future__ import annotations

from itertools import combinations

import pytest

from cms_cli.exit_codes import ExitCode, first_of, of_event
from cms_python import EventKind, Outcome, Status

IN_ORDER = [129, 130, 143, 3, 4, 5, 7, 6, 1, 0]
SINGLE = {
    Status.ACCEPTED: 0,
    Status.DUPLICATE: 0,
    Status.REFUSED: 1,
    Status.INVALID: 2,
    Status.UNAUTHORIZED: 4,
    Status.BUSY: 5,
    Status.NOT_API: 5,
    Status.UNSENT: 5,
    Status.UNANSWERED: 5,
}


def test_where_several_codes_hold_the_first_in_order_counts() -> None:
    """A signal counts for more than a failure of this machine, and that for more than anything of the service."""
    for first, second in combinations(IN_ORDER, 2):
        assert first_of([ExitCode(second), ExitCode(first)]) == first
    assert first_of([]) == 0
    assert {*map(int, ExitCode)} == {*IN_ORDER, 2}


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("status", Status)
def test_one_event_ends_with_the_code_of_its_outcome(status: Status, kind: EventKind, arrived: bool) -> None:
    """A lead that may have arrived ends with 6; a sale can be sent again, so it ends with 5."""
    unknown = kind is EventKind.LEAD and arrived and SINGLE[status] == 5
    assert of_event(kind, Outcome(status, "m", may_have_arrived=arrived)) == (6 if unknown else SINGLE[status])
