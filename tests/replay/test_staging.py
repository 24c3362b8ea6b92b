"""Staging: every row counted once, repeats and contradictions found, and a preview that agrees with the journal."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from faultserver import FaultServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replays import LEAD_HEADER, SALE_HEADER, Bench, Notes, as_csv, counted, lead, sale, sales_csv

from cms_cli.replay.journal.identity import RunConflictError
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.run import rehearse
from cms_cli.replay.staging import stager as staging
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.watcher import Watcher

AHEAD = (datetime.now(timezone.utc) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["clk_1", "clk_2", ""]),
        st.just("buy"),
        st.sampled_from(["ann", "bob"]),
        st.integers(1, 6).map(lambda number: f"inv_{number}"),
        st.sampled_from(["100", "200", "0", "x"]),
        st.sampled_from(["EUR", "USD"]),
        st.sampled_from(["", "2026-03-11T23:00:00Z", "2026-03-12T09:14:02Z", "2026-03-12T10:00:00Z", AHEAD]),
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
    """A preview covers exactly the rows that will be sent, in a dry run as well."""
    monkeypatch.setattr(staging, "_BATCH", batch)
    bench = Bench(tmp_path_factory.mktemp("staging"), "http://127.0.0.1:9")
    path = bench.file(as_csv((*SALE_HEADER, "timestamp"), rows))
    shape = Shape(skip_unattributed=skip)
    rehearsed, report = rehearse(bench.request(path, shape, skip_invalid=True), Watcher())
    assert report.total == len(rows)
    outcomes = _outcomes(rows, skip)
    assert +Counter(rehearsed.counts) == Counter(outcomes)
    sent = [row for row, outcome in zip(rows, outcomes) if outcome == "pending"]
    assert _shown(rehearsed) == _expected(sent)
    seen: list[object] = []

    class Looks(Notes):
        def confirm(self, preview: object) -> bool:
            assert isinstance(preview, Preview)
            seen.append((preview.counts, _shown(preview)))
            return False

    try:
        bench.replay(path, shape, notes=Looks(), skip_invalid=True)
    except RunConflictError:
        assert seen == [(rehearsed.counts, _shown(rehearsed))]
    else:
        assert not rehearsed.counts["pending"]


def _outcomes(rows: list[tuple[str, ...]], skip: bool) -> list[str]:
    """Return the expected status of each row, by the rules alone."""
    outcomes = []
    good: dict[str, list[tuple[str, ...]]] = {}
    for row in rows:
        if not skip or row[0]:
            good.setdefault(row[3], []).append((row[0], row[2], row[4], row[5]))
    seen = set()
    for row in rows:
        if skip and not row[0]:
            outcomes.append("skipped")
        elif not row[0] or row[4] == "x" or _contradicts(good[row[3]]):
            outcomes.append("invalid")
        else:
            outcomes.append("duplicate" if row[3] in seen else "pending")
            seen.add(row[3])
    return outcomes


def _contradicts(rows: list[tuple[str, str, str, str]]) -> bool:
    """Return whether rows of one invoice contradict each other; an unreadable amount contradicts any."""
    clicks = {row[0] for row in rows if row[0]}
    unread = len(rows) > 1 and any(row[2] == "x" for row in rows)
    return unread or len(clicks) > 1 or len({row[1:] for row in rows}) > 1


def _shown(preview: Preview) -> dict[str, object]:
    """Return what a preview says of the rows that will be sent."""
    events = [json.loads(event)["invoiceId"] for event in preview.events]
    times = [warning for warning in preview.warnings if "time" in warning]
    return {
        "sums": preview.sums,
        "free": preview.free,
        "first": preview.first,
        "last": preview.last,
        "events": events,
        "times": times,
    }


def _expected(sent: list[tuple[str, ...]]) -> dict[str, object]:
    """Return what a preview should say of the rows that will be sent."""
    days = [row[6][:10] for row in sent if row[6]]
    undated, future = len(sent) - len(days), days.count(AHEAD[:10])
    times = []
    if undated:
        rows = "1 row is" if undated == 1 else f"{undated} rows are"
        times.append(f"{rows} without a time: the service will date them now")
    if future:
        rows = "1 row is" if future == 1 else f"{future} rows are"
        times.append(f"{rows} dated in the future: is --timezone right?")
    return {
        "sums": {code: sum(int(row[4]) for row in sent if row[5] == code) for code in {row[5] for row in sent}},
        "free": sum(row[4] == "0" for row in sent),
        "first": min(days, default=""),
        "last": max(days, default=""),
        "events": [row[3] for row in sent[:3]],
        "times": times,
    }


def test_leads_that_are_the_same_row(tmp_path: Path) -> None:
    """Leads with a time repeat each other if all fields are equal; leads without one never do."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url, "lead")
        header = (*LEAD_HEADER, "note")
        timed = [[*lead(1), "a"], [*lead(1), "b"], [*lead(2), "a"]]
        assert counted(bench.replay(bench.file(as_csv(header, timed)))) == {"accepted": 2, "duplicate": 1}
        untimed = [[*lead(3, timestamp=""), note] for note in "aab"]
        report = bench.replay(bench.file(as_csv(header, untimed), "untimed.csv"))
        assert counted(report) == {"accepted": 3}


def test_a_repeated_row_names_the_first(tmp_path: Path) -> None:
    """The message for a duplicate or a contradiction names the other row."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url)
        rows = [sale(1), sale(2), sale(1), sale(3), sale(3, amount=9)]
        bench.replay(bench.file(as_csv(SALE_HEADER, rows)), skip_invalid=True, results=tmp_path / "r.csv")
        said = {row.row: row.error for row in bench.notes.rows}
        assert said[3] == "repeats line 2"
        assert "line 6" in (said[4] or "")
        assert "line 5" in (said[5] or "")


def test_a_rehearsal_leaves_nothing(tmp_path: Path) -> None:
    """A dry run creates nothing, and counts what the ledger has."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(3)))
        preview, _ = rehearse(bench.request(path), Watcher())
        assert preview.counts["pending"] == 3
        assert not bench.state.exists()
        bench.replay(path)
        preview, report = rehearse(bench.request(path), Watcher())
        assert (preview.counts["accepted"], report.exit_code) == (3, 0)
        preview, _ = rehearse(bench.request(bench.file(sales_csv(range(4)), "more.csv")), Watcher())
        assert (preview.counts["duplicate"], preview.counts["pending"]) == (3, 1)
        assert len(server.requests) == 3


HEADER = (*SALE_HEADER, "timestamp")


@pytest.mark.parametrize(
    ("bad", "good", "becomes"),
    [
        ({"timestamp": "soon"}, {"amount": "499"}, "invalid"),
        ({"timestamp": "soon"}, {"click_id": "clk_9"}, "invalid"),
        ({"event_name": "x" * 256}, {"customer_external_id": "cus_9"}, "invalid"),
        ({"timestamp": "soon"}, {}, "accepted"),
        ({"click_id": ""}, {}, "accepted"),
        ({"amount": "n/a"}, {}, "invalid"),
        ({"amount": ""}, {}, "invalid"),
        ({"currency": "dollars"}, {}, "invalid"),
    ],
)
@pytest.mark.parametrize("bad_first", [True, False])
def test_a_row_that_is_invalid_takes_part_in_the_comparison_of_its_invoice(
    tmp_path: Path, bad: dict[str, str], good: dict[str, str], becomes: str, bad_first: bool
) -> None:
    """An invalid row's values count when its invoice's rows are compared; missing ones count only for amounts."""
    row = dict(zip(HEADER, [*sale(1), "2026-04-10"]))
    pair = [[*{**row, **bad}.values()], [*{**row, **good}.values()]]
    other = [*sale(2), "2026-04-10"]
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(as_csv(HEADER, [*(pair if bad_first else reversed(pair)), other]))
        report = bench.replay(path, skip_invalid=True)
    statuses = bench.rows(report.run)
    assert [statuses[1 if bad_first else 2], statuses[2 if bad_first else 1]] == ["invalid", becomes]
    assert statuses[3] == "accepted"


def test_texts_are_compared_as_they_are(tmp_path: Path) -> None:
    """Values are compared one by one: "u\\n1" with "c" differs from "u" with "1\\nc"."""
    rows = [
        ["c", "buy", "u\n1", "inv", "100", "EUR"],
        ["1\nc", "buy", "u", "inv", "100", "EUR"],
    ]
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(as_csv(SALE_HEADER, rows)))
        assert {problem.code for problem in report.problems} == {"invoice_conflict"}
        assert not server.requests
