"""Staging: every row counted once, repeats and contradictions found, and the tally true to the journal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from faultserver import FaultServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replays import LEAD_HEADER, SALE_HEADER, Bench, Notes, as_csv, counted, lead, sale, sales_csv

from cms_cli.replay import staging
from cms_cli.replay.identity import RunConflictError
from cms_cli.replay.options import Shape
from cms_cli.replay.run import Watcher, rehearse

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["clk_1", "clk_2", ""]),
        st.just("buy"),
        st.sampled_from(["ann", "bob"]),
        st.integers(1, 6).map(lambda number: f"inv_{number}"),
        st.sampled_from(["100", "200", "0", "x"]),
        st.sampled_from(["EUR", "USD"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, skip=st.booleans(), batch=st.integers(1, 8))
def test_the_preview_says_what_the_journal_has(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[str, ...]],
    skip: bool,
    batch: int,
) -> None:
    """Counts, sums and free rows of the preview, of a rehearsal and of the staged rows are the same."""
    monkeypatch.setattr(staging, "_BATCH", batch)
    bench = Bench(tmp_path_factory.mktemp("staging"), "http://127.0.0.1:9")
    path = bench.file(as_csv(SALE_HEADER, rows))
    shape = Shape(skip_unattributed=skip)
    rehearsed, report = rehearse(bench.request(path, shape, skip_invalid=True), Watcher())
    assert report.total == len(rows)
    expected = _expected(rows, skip)
    assert +Counter(rehearsed.counts) == +Counter(expected)
    seen: list[object] = []

    class Looks(Notes):
        def confirm(self, preview: object) -> bool:
            seen.append((preview.counts, preview.sums, preview.free))  # type: ignore[attr-defined]
            return False

    try:
        bench.replay(path, shape, notes=Looks(), skip_invalid=True)
    except RunConflictError:
        assert seen == [(rehearsed.counts, rehearsed.sums, rehearsed.free)]
    else:
        assert not rehearsed.counts["pending"]


def _expected(rows: list[tuple[str, ...]], skip: bool) -> dict[str, int]:
    """The same, by the rules alone: the first row of an invoice wins, unless its rows contradict each other."""
    outcomes = []
    good: dict[str, list[tuple[str, ...]]] = {}
    for row in rows:
        if skip and not row[0]:
            outcomes.append("skipped")
        elif not row[0] or row[4] == "x":
            outcomes.append("invalid")
        else:
            good.setdefault(row[3], []).append(row)
    for alike in good.values():
        if len({(row[0], row[2], row[4], row[5]) for row in alike}) > 1:
            outcomes += ["invalid"] * len(alike)
        else:
            outcomes += ["pending"] + ["duplicate"] * (len(alike) - 1)
    return Counter(outcomes)


def test_leads_that_are_the_same_row(tmp_path: Path) -> None:
    """With a time, leads are the same when all their fields are; without one, when all their cells are."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url, "lead")
        header = (*LEAD_HEADER, "note")
        timed = [[*lead(1), "a"], [*lead(1), "b"], [*lead(2), "a"]]
        assert counted(bench.replay(bench.file(as_csv(header, timed)))) == {"accepted": 2, "duplicate": 1}
        untimed = [[*lead(3, timestamp=""), note] for note in "aab"]
        report = bench.replay(bench.file(as_csv(header, untimed), "untimed.csv"))
        assert counted(report) == {"accepted": 2, "duplicate": 1}


def test_a_repeated_row_names_the_first(tmp_path: Path) -> None:
    """What is said of a duplicate, and of a contradiction, leads to the other row."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url)
        rows = [sale(1), sale(2), sale(1), sale(3), sale(3, amount=9)]
        bench.replay(bench.file(as_csv(SALE_HEADER, rows)), skip_invalid=True, results=tmp_path / "r.csv")
        said = {row.row: row.error for row in bench.notes.rows}
        assert said[3] == "repeats line 2"
        assert "line 6" in (said[4] or "")
        assert "line 5" in (said[5] or "")


def test_a_rehearsal_leaves_nothing(tmp_path: Path) -> None:
    """Not even a state folder; and it knows what the ledger knows."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(3)))
        preview, _ = rehearse(bench.request(path), Watcher())
        assert preview.counts["pending"] == 3
        assert not bench.state.exists()
        bench.replay(path)
        preview, _ = rehearse(bench.request(path), Watcher())
        assert preview.counts["duplicate"] == 3
        assert len(server.requests) == 3
