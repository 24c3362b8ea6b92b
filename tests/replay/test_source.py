"""The input's bytes, from a file or a pipe, and their hash."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import threading
from pathlib import Path

import pytest
from replays import Bench, Notes, sales_csv

from cms_cli.replay.model import InputError
from cms_cli.replay.reading.source import open_source


def test_a_file(tmp_path: Path) -> None:
    """A file can be read repeatedly and is identified by the hash of its bytes."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"a,b\n1,2\n")
    with open_source(str(path)) as source:
        assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert [source.rewound().read() for _ in range(2)] == [b"a,b\n1,2\n"] * 2
        source.check_unchanged()


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input can be read repeatedly, as a file can."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n1\n")))
    with open_source("-") as source:
        assert (source.name, source.path) == ("standard input", None)
        assert [source.rewound().read() for _ in range(2)] == [b"a\n1\n"] * 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe(tmp_path: Path) -> None:
    """A named pipe, which is what a shell makes of <(command), is read."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: path.write_bytes(b"a\n1\n"))
    thread.start()
    with open_source(str(path)) as source:
        assert source.path is None
        assert source.rewound().read() == b"a\n1\n"
    thread.join()


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    """An input that cannot be read is named, with a hint."""
    with pytest.raises(InputError) as caught, open_source(str(tmp_path / name)):
        pass
    assert str(tmp_path / name) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["grown", "changed"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, kind: str) -> None:
    """A file that changes while it is read is refused, and nothing of it is sent or kept."""
    bench = Bench(tmp_path, "http://127.0.0.1:9")
    path = bench.file(sales_csv(range(50)))

    class Meddling(Notes):
        def reading(self, rows: int) -> None:
            assert rows == 50
            if kind == "grown":
                with path.open("a") as file:
                    file.write("more\n")
            else:
                path.write_text(path.read_text().replace("clk_7", "clk_9"))

    with pytest.raises(InputError, match="was changed while it was read"):
        bench.replay(path, notes=Meddling())
    assert bench.runs() == []
    assert not list(bench.state.glob("*.rows"))
    assert not bench.sent


def test_a_gzip_file_is_read_as_it_is(tmp_path: Path) -> None:
    """A gzip file is read unpacked and identified by its own bytes; a damaged one is refused."""
    data = b"id,amount\n" + b"1,2\n" * 10_000
    path = tmp_path / "sales.csv.gz"
    path.write_bytes(gzip.compress(data))
    with open_source(str(path)) as source:
        assert source.rewound().read() == data
        assert (source.size, source.path) == (len(data), path)
        assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        source.check_unchanged()
    for damaged in (path.read_bytes()[:-9], b"\x1f\x8b\x08\x00", b"\x1f\x8bxxxxxxxxxxxxxx"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be unpacked"), open_source(str(path)):
            pass
