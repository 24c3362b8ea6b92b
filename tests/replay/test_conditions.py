"""--where: alternatives, comparisons of numbers and dates, and conditions that no row can meet."""

from __future__ import annotations

import pytest
from mapped import SALE, blueprint

from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError, RowProblem, SkippedRow, SourceRow


def _kept(where: str | tuple[str, ...], column: str, cells: list[str], **flags: str) -> list[str]:
    """Return the cells whose rows a condition keeps, with "?" before those that cannot be read."""
    conditions = (where,) if isinstance(where, str) else where
    left_out = blueprint([*SALE, column], Shape(where=conditions, **flags)).selection.begin()
    found = []
    for cell in cells:
        row = left_out(SourceRow(1, 2, [*SALE.values(), cell]))
        if row is None:
            found.append(cell)
        elif isinstance(row, RowProblem):
            [problem] = row.problems
            assert (problem.column, problem.row, problem.line) == (column, 1, 2)
            found.append(f"?{cell}")
        else:
            assert isinstance(row, SkippedRow)
            assert row.message in [f"--where {text}" for text in conditions]
    return found


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("State=paid|sent", ["paid", "sent"]),
        ("State = paid | sent", ["paid", "sent"]),
        ("State!=paid|sent", ["Paid", "open", "a|b", ""]),
        ("State=a\\|b", ["a|b"]),
        ("State=", [""]),
        ("State=|open", ["open", ""]),
        ("State!=", ["paid", "Paid", "sent", "open", "a|b"]),
        ("state=paid", ["paid"]),
    ],
)
def test_either_and_neither(where: str, kept: list[str]) -> None:
    """Alternatives are separated by a bar and compared exactly, letter case included."""
    assert _kept(where, "State", ["paid", "Paid", "sent", "open", "a|b", ""]) == kept


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("Sum>=0", ["0", "12", "1,234.50", "$3.10", "1,500"]),
        ("Sum<0", ["-1", "(5.00)", "-\u20ac2,10"]),
        ("Sum>12", ["1,234.50", "?1,500"]),
        ("Sum<=12", ["0", "12", "-1", "(5.00)", "$3.10", "-\u20ac2,10", "?1,500"]),
        ("Sum>=-1", ["0", "12", "-1", "1,234.50", "$3.10", "1,500"]),
    ],
)
def test_numbers_are_compared_as_amounts_are_read(where: str, kept: list[str]) -> None:
    """Numbers are read as amounts are; an empty cell never matches, and a text is a problem."""
    cells = ["0", "12", "-1", "(5.00)", "1,234.50", "$3.10", "-\u20ac2,10", "1,500", ""]
    assert _kept(where, "Sum", cells) == kept
    assert _kept(where, "Sum", ["n/a", "5 %"]) == ["?n/a", "?5 %"]


def test_a_decimal_mark_that_was_said_settles_what_a_number_is() -> None:
    """--decimal decides whether 1,500 is a thousand or one and a half."""
    assert _kept("Sum>12", "Sum", ["1,500"], decimal=".") == ["1,500"]
    assert _kept("Sum>12", "Sum", ["1,500"], decimal=",") == []


@pytest.mark.parametrize(
    ("where", "zone", "kept"),
    [
        ("Paid>=2026-04-10", "", ["2026-04-10", "2026-04-10T23:30:00Z", "2026-04-11T05:00:00+09:00", "2026-05-01"]),
        (
            "Paid<=2026-04-10",
            "",
            ["2026-04-09T22:30:00Z", "2026-04-10", "2026-04-10T23:30:00Z", "2026-04-11T05:00:00+09:00"],
        ),
        ("Paid>2026-04-10", "Europe/Berlin", ["2026-04-10T23:30:00Z", "2026-05-01"]),
        ("Paid<2026-04-10", "Europe/Berlin", []),
        ("Paid<2026-04-10", "America/New_York", ["2026-04-09T22:30:00Z"]),
        ("Paid>=2026-04-10T23:00:00Z", "", ["2026-04-10T23:30:00Z", "2026-05-01"]),
    ],
)
def test_dates_are_compared_by_their_day_in_the_zone(where: str, zone: str, kept: list[str]) -> None:
    """A cell is compared with a bare date by its day in --timezone, and with a time by its instant."""
    cells = [
        *("2026-04-09T22:30:00Z", "2026-04-10", "2026-04-10T23:30:00Z"),
        *("2026-04-11T05:00:00+09:00", "2026-05-01", ""),
    ]
    assert _kept(where, "Paid", cells, timezone=zone) == kept
    assert _kept(where, "Paid", ["soon"], timezone=zone) == ["?soon"]


def test_a_condition_that_fails_goes_before_one_that_cannot_be_read() -> None:
    """A row that fails one condition is skipped, even if another condition cannot be read."""
    assert _kept(("Sum>0", "Sum!=Totals"), "Sum", ["Totals", "x", "3"]) == ["?x", "3"]


@pytest.mark.parametrize("name", ["A>B", "A>=", "Date+Time", "a=b", "A|B", "Due <= 30"])
def test_the_longest_name_of_a_column_is_read_first(name: str) -> None:
    """A column whose name contains an operator can be named in a condition."""
    assert _kept(f"{name}=x", name, ["x", "y"]) == ["x"]
    assert _kept(f"{name}>=3", name, ["2", "3"]) == ["3"]


@pytest.mark.parametrize(
    ("wheres", "message", "either"),
    [
        (("State=paid", "State=sent"), "exclude each other", "State=paid|sent"),
        (("State=paid|sent", "State=sent|open", "State=paid"), "exclude each other", ""),
        (("State=a\\|b", "state=c"), "exclude each other", "State=a\\|b|c"),
    ],
)
def test_conditions_that_exclude_each_other_are_refused(wheres: tuple[str, ...], message: str, either: str) -> None:
    """Conditions that exclude each other are an error whose hint shows `A|B`."""
    with pytest.raises(InputError, match=message) as caught:
        blueprint([*SALE, "State"], Shape(where=wheres))
    assert either in caught.value.hint.replace("'", '"')


def test_conditions_that_can_be_met_together_are_accepted() -> None:
    """Conditions that one row can meet together are accepted."""
    for wheres in (("State=paid|sent", "State=sent"), ("State=a", "State!=b"), ("State=a", "invoice_id=b")):
        blueprint([*SALE, "State"], Shape(where=wheres))


@pytest.mark.parametrize(
    "where",
    [
        "State>",
        "State>x",
        "State>=5|6",
        "State",
        ">5",
        "State<2026-02-30",
        "State==5",
        "State>nan",
        "State=>5",
        "State<>5",
    ],
)
def test_a_comparison_needs_one_number_or_date(where: str) -> None:
    """A comparison needs exactly one number or date."""
    with pytest.raises(InputError):
        blueprint([*SALE, "State"], Shape(where=(where,)))
