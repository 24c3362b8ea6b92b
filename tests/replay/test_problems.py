"""Problems of rows, grouped."""

from __future__ import annotations

import random
from collections.abc import Iterable

from cms_cli.replay.model import Problem
from cms_cli.replay.problems import ProblemGroup, ProblemGroups, shown


def problem(
    line: int, message: str = 'amount "n/a" is not a number', code: str = "x", column: str = "amount"
) -> Problem:
    return Problem(code, message, "correct it", column, line - 1, line)


def group(problems: Iterable[Problem], keep: int = 3) -> list[ProblemGroup]:
    groups = ProblemGroups(keep)
    for each in problems:
        groups.add(each)
    return groups.groups()


def test_a_group_reads_as_one_line() -> None:
    """A group is shown as its count, its message and its first lines."""
    lines = [17, 20, 31, *range(100, 1301)]
    (found,) = group(problem(line) for line in lines)
    assert str(found) == '1,204 rows: amount "n/a" is not a number (lines 17, 20, 31 and 1,201 more)'
    assert found.problem.hint == "correct it"
    assert str(group([problem(17)])[0]) == '1 row: amount "n/a" is not a number (line 17)'
    assert str(group([problem(17), problem(18)])[0]) == '2 rows: amount "n/a" is not a number (lines 17, 18)'
    assert str(group([problem(1700), problem(1800)], keep=1)[0]).endswith("(lines 1700 and 1 more)")


def test_groups_differ_by_column_code_and_message_and_stand_by_their_first_line() -> None:
    """Problems are grouped by column, code and message, in order of their first lines."""
    found = group(
        [
            problem(2, "a"),
            problem(3, "b"),
            problem(4, "a"),
            problem(5, "a", code="y"),
            problem(6, "a", column="other"),
            problem(7, "b"),
        ]
    )
    assert [(each.problem.message, each.problem.code, each.problem.column, each.lines) for each in found] == [
        ("a", "x", "amount", (2, 4)),
        ("b", "x", "amount", (3, 7)),
        ("a", "y", "amount", (5,)),
        ("a", "x", "other", (6,)),
    ]


def test_the_number_of_groups_is_bounded_and_the_counts_still_add_up() -> None:
    """The number of groups is bounded, and one more group counts the rest."""
    groups = ProblemGroups(most=100)
    chosen = random.Random(5)
    for line in range(2, 10_002):
        groups.add(problem(line, f'amount "{chosen.random()}" is not a number'))
    found = groups.groups()
    assert len(found) == 101
    assert sum(each.rows for each in found) == 10_000
    assert [each.mixed for each in found] == [False] * 100 + [True]
    assert str(found[-1]).startswith("9,900 rows: other values, such as: amount ")
    assert found == sorted(found, key=lambda each: each.lines)


def test_long_values_are_cut() -> None:
    """A message quotes at most forty characters of a value."""
    assert shown("x" * 40) == '"' + "x" * 40 + '"'
    assert shown("x" * 41) == '"' + "x" * 37 + '..."'
