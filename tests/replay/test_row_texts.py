"""The files of row texts: used only if unchanged, and removed as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from faultserver import SUCCESS, FaultServer, json_reply
from hypothesis import given
from hypothesis import strategies as st
from replays import Bench, counted, leads_csv, sales_csv

from cms_cli.replay.journal.row_texts import DamagedRowTextsError, RowText, RowTextsReader, RowTextsWriter
from cms_cli.replay.journal.sqlite_file import JournalError

NO = json_reply(422, {"error": "no"})
LINE = st.text(st.characters(blacklist_characters="\n"), max_size=20)


@given(rows=st.lists(st.tuples(LINE, LINE), max_size=10))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    """Any row is read back at its place, in any order."""
    path = tmp_path_factory.mktemp("contents") / "x.rows"
    writer = RowTextsWriter(path)
    places = [writer.add(RowText(*row)) for row in rows]
    writer.close()
    reader = RowTextsReader(path, writer.size)
    for place, row in reversed(list(zip(places, rows))):
        assert reader.read(place) == row
    reader.close()


def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    """Any changed byte is detected."""
    path = tmp_path / "x.rows"
    writer = RowTextsWriter(path)
    place = writer.add(RowText('{"amount":100}', '["100"]'))
    writer.close()
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        reader = RowTextsReader(path, writer.size)
        with pytest.raises(DamagedRowTextsError):
            reader.read(place)
        reader.close()


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _changed(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"amount":10', b'"amount":90'))


@pytest.mark.parametrize("damage", [Path.unlink, _cut, _changed])
def test_damage_is_found_before_anything_is_sent(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A missing, cut or changed file is reported, and nothing is sent."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(5)))
        bench.replay(path, limit=1)
        damage(next(bench.state.glob("*.rows")))
        with pytest.raises(JournalError) as caught:
            bench.replay(path)
        assert ".rows is " in caught.value.message
        assert "from a backup" in caught.value.hint
        assert len(server.requests) == 1


def test_one_file_a_run_and_none_too_many(tmp_path: Path) -> None:
    """A run has one file, which holds the texts of its failed rows only."""
    with FaultServer() as server:
        server.script(SUCCESS, NO, NO, NO)
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(5)))
        bench.replay(path, concurrency=1)
        for left in (b"inv_1", b"inv_3", b""):
            [file] = bench.state.glob("*.rows")
            assert left in file.read_bytes()
            assert b"inv_0" not in file.read_bytes()
            if left == b"inv_1":
                server.script(SUCCESS, SUCCESS, NO)
            bench.replay(path, concurrency=1, retry_refused=True)
        assert file.stat().st_size == 0
        assert counted(bench.replay(path)) == {"accepted": 5}


def test_files_that_a_crash_left_are_removed(tmp_path: Path) -> None:
    """Files that no run owns are removed, and all others stay."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url, "lead")
        bench.replay(bench.file(leads_csv(range(3))), limit=1)
        [kept] = bench.state.glob("*.rows")
        for name in ("lead-zzzzz.rows", "sale-zzzzz.3.rows"):
            (bench.state / name).write_text("somebody")
        (bench.state / "other.txt").touch()
        with bench.journal() as journal:
            journal.forget_strays()
        assert {path.name for path in bench.state.glob("*.*")} == {
            *(kept.name, "journal.sqlite3", "journal.turns", "other.txt")
        }
