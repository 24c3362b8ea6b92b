"""Counts that add up, and a journal that agrees with the server, whatever the file, the faults and the flags."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replays import LEAD_HEADER, SALE_HEADER, Bench, Notes, as_csv, hurry, read_results

from cms_cli.replay.journal.rows import RowStatus, SettledRow
from cms_cli.sandbox import SandboxEvent, SandboxServer

pytestmark = pytest.mark.usefixtures("engine")

FAULTS = (
    "",
    "5xx:0.2,drop-before:0.1,drop-after:0.1",
    "429:0.2@0,503:0.2",
    "500-after:0.15,502-after:0.1,half:0.1,garbled:0.1",
    "422:0.2,drop-after:0.2",
    "409:0.1,400:0.1,404:0.1",
)

# The values are few, so that rows repeat and contradict each other; some are invalid.
SALE_CELLS = st.tuples(
    st.sampled_from(["clk_1", "clk_2", "", "clk_3"]),
    st.just("purchase"),
    st.sampled_from(["ann", "bob", "cy", "dee"]),
    st.integers(1, 25).map(lambda number: f"inv_{number}"),
    st.sampled_from(["100", "100", "100", "200", "-1", "x"]),
    st.sampled_from(["EUR", "EUR", "usd", "12"]),
)
LEAD_CELLS = st.tuples(
    st.sampled_from(["clk_1", "clk_2", "clk_3"]),
    st.integers(1, 25).map(lambda number: f"step_{number}"),
    st.sampled_from(["ann", "bob", "cy", "dee", ""]),
    st.sampled_from(["2026-04-10", "2026-04-11", "", "no time"]),
)
INVOCATION = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.integers(1, 12),
        "max_failures": st.integers(1, 4),
        "concurrency": st.integers(1, 8),
        "retry_unknown": st.booleans(),
        "retry_refused": st.booleans(),
    },
)


@pytest.mark.parametrize("kind", ["sale", "lead"])
@settings(
    max_examples=settings.default.max_examples // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_every_row_has_one_outcome_and_the_books_agree(
    monkeypatch: pytest.MonkeyPatch, kind: str, data: st.DataObject
) -> None:
    """Every row ends in one outcome, and journal, report and server agree, over any faults and interruptions."""
    hurry(monkeypatch)
    cells = SALE_CELLS if kind == "sale" else LEAD_CELLS
    rows = data.draw(st.lists(cells, min_size=1, max_size=30))
    faults = data.draw(st.sampled_from(FAULTS))
    invocations = data.draw(st.lists(INVOCATION, min_size=1, max_size=4))
    folder = Path(tempfile.mkdtemp())
    try:
        with SandboxServer(folder / "sandbox.db", faults=faults, seed=data.draw(st.integers(0, 99))) as sandbox:
            bench = Bench(folder, sandbox.url, kind)
            path = bench.file(as_csv(SALE_HEADER if kind == "sale" else LEAD_HEADER, rows))
            _play(bench, path, invocations)
            again = any(how.get("retry_unknown") or how.get("retry_refused") for how in invocations)
            _compare(bench, sandbox, rows, again=again)
    finally:
        shutil.rmtree(folder)


def _play(bench: Bench, path: Path, invocations: list[dict[str, Any]]) -> None:
    results = bench.folder / "results.jsonl"
    # The last invocation has no limits, so that the run finishes.
    for how in [*invocations, {}]:
        notes = Notes()
        report = bench.replay(path, notes=notes, skip_invalid=True, results=results, **how)
        in_journal = bench.rows(report.run)
        assert report.total == len(in_journal)
        assert Counter(in_journal.values()) == +Counter(report.counts)
        in_file = {row["_line"]: row["_status"] for row in read_results(results)}
        assert Counter(in_file.values()) == +Counter({**report.counts, "pending": 0})
        assert len({row.row for row in notes.rows}) == len(notes.rows)
    assert not report.pending
    before = bench.sent
    again = bench.replay(path)
    assert bench.sent == before
    assert (again.counts, again.exit_code, again.finished_before) == (report.counts, report.exit_code, True)


def _compare(bench: Bench, sandbox: SandboxServer, rows: list[tuple[str, ...]], *, again: bool) -> None:
    """Compare the journal with the server's events, by invoice or by all fields of a lead."""
    assert sandbox.failure is None
    fields = (3,) if bench.kind.value == "sale" else (0, 1, 2)
    outcomes: dict[tuple[str, ...], list[SettledRow]] = {}
    for row in bench.settled():
        outcomes.setdefault(tuple(rows[row.row - 1][at] for at in fields), []).append(row)
    recorded = Counter(_key_of(event) for event in sandbox.events())
    for key, settled in outcomes.items():
        accepted = [row for row in settled if row.status == RowStatus.ACCEPTED]
        # The service may have what it later refused, or what got no answer, and says that it has what it answers
        # 409 to a sale.
        perhaps = [row for row in settled if row.attempts and row not in accepted]
        assert len(accepted) <= recorded[key] <= len(accepted) + len(perhaps) or again
        if bench.kind.value == "sale":
            assert recorded[key] <= 1
            assert len(accepted) <= 1
    assert recorded.keys() <= outcomes.keys()


def _key_of(event: SandboxEvent) -> tuple[str, ...]:
    if event.invoice_id is not None:
        return (event.invoice_id,)
    return event.click_id, event.event["eventName"], event.customer
