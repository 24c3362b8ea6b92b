"""The order in which rows go."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cms_cli.replay.journal import row_table, runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import PendingRow, StagedRow
from cms_cli.replay.journal.run_key import RunKey
from cms_cli.replay.journal.schema import ROWS_A_BLOCK
from cms_cli.replay.sending.schedule import Schedule


class Book:
    """The pending rows of a journal, in memory."""

    def __init__(self, customers: list[int]) -> None:
        self.rows = {number: _row(number, customer) for number, customer in enumerate(customers, 1)}
        self.reads = 0

    def fetch(self, after: int, count: int) -> list[PendingRow]:
        self.reads += 1
        return [row for number, row in sorted(self.rows.items()) if number > after][:count]

    def next_of_customer(self, before: PendingRow, until: int) -> PendingRow | None:
        numbers = range(before.row + 1, until + 1)
        others = (self.rows[number] for number in numbers if number in self.rows)
        return next((row for row in others if row.customer == before.customer), None)


def _row(number: int, customer: int) -> PendingRow:
    return PendingRow(number, number + 1, customer, b"", None, None, "{}", "[]", 0, None)


@settings(deadline=None, max_examples=200)
@given(customers=st.lists(st.integers(1, 4), max_size=40), chunk=st.integers(1, 7), seed=st.integers())
def test_every_row_once_and_customers_in_order(customers: list[int], chunk: int, seed: int) -> None:
    """Every row ends once, and a customer's rows go one at a time in file order, however rows fail."""
    dice = random.Random(seed)
    book = Book(customers)
    schedule = Schedule(lambda after, _: book.fetch(after, chunk), book.next_of_customer, chunk=chunk)
    under_way: list[PendingRow] = []
    ended: list[int] = []
    now = 0.0
    while True:
        now += 1
        choice = dice.choice(["take", "settle", "fail"])
        if choice == "take" or not under_way:
            row = schedule.take(now)
            if row is None and not under_way:
                due = schedule.next_due()
                if due is None:
                    break
                now = due
                continue
            if row is not None:
                assert row.customer not in {other.customer for other in under_way}
                under_way.append(row)
            continue
        row = under_way.pop(dice.randrange(len(under_way)))
        if choice == "settle":
            del book.rows[row.row]
            ended.append(row.row)
            schedule.settled(row)
        else:
            schedule.set_aside(row, now + dice.randint(0, 5))
    assert sorted(ended) == list(range(1, len(customers) + 1))
    for customer in set(customers):
        mine = [number for number in ended if customers[number - 1] == customer]
        assert mine == sorted(mine)


def test_fresh_rows_first() -> None:
    """A row that has not failed yet can be asked for before one that has."""
    book = Book([1, 2, 3])
    schedule = Schedule(book.fetch, book.next_of_customer)
    first = schedule.take(0)
    assert first is not None
    schedule.set_aside(first, 5.0)
    taken = [schedule.take(now, fresh_first=fresh) for now, fresh in ((4, False), (6, True), (6, True))]
    assert [row and row.row for row in taken] == [2, 3, 1]


def test_a_limit_counts_rows_that_were_sent() -> None:
    """A limit counts each row that was sent once, and no row that needed no request or has to wait."""
    book = Book([1, 2, 3, 4, 5])
    schedule = Schedule(book.fetch, book.next_of_customer, limit=2)
    first, second = schedule.take(0), schedule.take(0)
    assert first is not None
    assert second is not None
    assert schedule.limit_reached
    assert schedule.take(0) is None
    del book.rows[1]
    schedule.settled(first)
    schedule.sent(second)
    third = schedule.take(0)
    assert (third and third.row, schedule.take(0)) == (3, None)
    schedule.set_aside(second, 0.0)
    assert schedule.take(1) == second
    schedule.sent(second)
    assert third is not None
    schedule.leave_pending(third)
    fourth = schedule.take(0)
    assert (fourth and fourth.row, schedule.take(0)) == (4, None)
    assert fourth is not None
    schedule.sent(fourth)
    schedule.settled(second)
    assert schedule.take(0) is None


def test_a_customer_who_waits_costs_one_entry() -> None:
    """Rows that wait behind another row of their customer are read when their turn comes."""
    book = Book([1] * 2000 + [2])
    schedule = Schedule(book.fetch, book.next_of_customer)
    first = schedule.take(0)
    other = schedule.take(0)
    assert (first and first.row, other and other.row) == (1, 2001)
    assert schedule.take(0) is None
    assert first is not None
    del book.rows[1]
    schedule.settled(first)
    again = schedule.take(0)
    assert again is not None
    assert again.row == 2


def test_a_customer_far_apart(tmp_path: Path) -> None:
    """A customer's next row is found anywhere in a long file."""
    block = 1 << ROWS_A_BLOCK
    mine = [1, block - 1, block, block + 1, 3 * block + 5]
    rows = [
        StagedRow(row, row + 1, "pending", 7 if row in mine else row + 1000, b"k", *(None,) * 3, "[]", *(None,) * 3)
        for row in range(1, 3 * block + 10)
    ]
    with Journal.open(tmp_path) as journal:
        run = runs.create(
            journal,
            RunKey(runs.scope_of(journal, "https://host.example", "account"), "sale", "aa", "{}"),
            file="sales.csv",
            header=[],
            now=0.0,
        )
        with journal.writing(run.texts) as contents, journal.transaction() as db:
            row_table.stage(journal, db, run, rows, contents)
        run = runs.staged(journal, run, contents.size)
        [first] = row_table.pending(journal, run, 0, 1)
        found = [first]
        while following := row_table.next_of_customer(journal, run, found[-1], rows[-1].row):
            found.append(following)
        assert [row.row for row in found] == mine
        assert row_table.next_of_customer(journal, run, found[2], 3 * block + 4).row == block + 1
        assert row_table.next_of_customer(journal, run, found[3], 3 * block + 4) is None
