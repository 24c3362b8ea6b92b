"""The store: written before the answer, readable by others, private, careful with other files, and reset."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cms_cli.sandbox import SandboxServer, StoreError, read_attempts, read_events, reset

from .conftest import StartSandbox
from .talk import FOLLOW_UP, LEAD, SALE, SET_UP, Wire, lead, sale

ROOT = Path(__file__).parents[2]
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="modes and signals are POSIX's")


def fill(server: SandboxServer, count: int = 3) -> None:
    """Send a deferred lead, a follow-up and a sale for each of several customers."""
    with Wire(server) as wire:
        for number in range(count):
            customer = {"customerExternalId": f"cus_{number}"}
            assert wire.lead({**SET_UP, **customer, "clickId": f"clk_{number}"}).status == 200
            assert wire.lead({**FOLLOW_UP, **customer}).status == 200
            event = {**SALE, **customer, "invoiceId": f"inv_{number}", "clickId": "clk_sale"}
            assert wire.sale(event).status == 200


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"kind": "sale"}, [3, 6, 9]),
        ({"click_id": "clk_1"}, [4, 5]),
        ({"customer": "cus_2"}, [7, 8, 9]),
        ({"invoice_id": "inv_0"}, [3]),
        ({"kind": "lead", "click_id": "clk_sale"}, []),
        ({"since_id": 7}, [8, 9]),
        ({"limit": 2}, [1, 2]),
        ({"limit": 0}, []),
        ({"kind": "sale", "since_id": 3, "limit": 1}, [6]),
        ({"customer": "' OR 1=1 --"}, []),
    ],
)
def test_events_are_filtered(sandbox: SandboxServer, filters: dict[str, object], ids: list[int]) -> None:
    fill(sandbox)
    assert [event.id for event in read_events(sandbox.db, **filters)] == ids


def test_an_event_is_kept_as_it_was_sent(sandbox: SandboxServer) -> None:
    event = {**SALE, "customerName": "名前 \x00 <b>", "timestamp": "2026-04-10T12:34:56.000Z"}
    sale(sandbox, event)
    (kept,) = sandbox.events()
    assert (kept.kind, kept.event, kept.amount, kept.currency, kept.invoice_id) == (
        *("sale", event),
        *(4999, "USD", "inv_1"),
    )
    exported = kept.to_dict()
    assert set(exported) == {"id", "receivedAt", "kind", "clickId", "clickSource", "event"}
    assert exported["receivedAt"].endswith("Z")
    json.dumps(exported)


def test_reading_goes_on_page_by_page_while_events_arrive(sandbox: SandboxServer) -> None:
    with Wire(sandbox) as wire:
        for _ in range(501):
            wire.lead()
        reading = read_events(sandbox.db)
        assert next(reading).id == 1
        wire.lead()
        assert [event.id for event in reading] == list(range(2, 503))


def test_a_store_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none" / "sandbox.db"
    assert list(read_events(path)) == list(read_attempts(path)) == []
    assert reset(path) == 0
    assert not path.parent.exists()


def test_another_process_reads_while_the_server_runs(sandbox: SandboxServer) -> None:
    fill(sandbox, 1)
    code = "import sys; from cms_cli.sandbox import read_events; print([e.id for e in read_events(sys.argv[1])])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(sandbox.db)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("[1, 2, 3]", "")


def test_a_store_is_read_after_its_server_has_gone(sandbox: SandboxServer) -> None:
    fill(sandbox, 1)
    sandbox.close()
    assert [path.name for path in sandbox.db.parent.iterdir()] == ["sandbox.db"]
    assert len(list(read_events(sandbox.db))) == 3


@posix_only
def test_a_store_is_private_and_so_is_its_folder(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    sandbox = start_sandbox(db=tmp_path / "state" / "sandbox" / "sandbox.db")
    lead(sandbox)
    files = sorted((tmp_path / "state").rglob("*"))
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in [tmp_path / "state", *files]} == {
        "state": "0o700",
        "sandbox": "0o700",
        "sandbox.db": "0o600",
        "sandbox.db-shm": "0o600",
        "sandbox.db-wal": "0o600",
    }


@posix_only
def test_a_folder_that_was_there_keeps_its_mode(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    start_sandbox(db=tmp_path / "sandbox.db")
    assert tmp_path.stat().st_mode & 0o777 == 0o755


SERVER = """
import sys
from cms_cli.sandbox import SandboxServer
server = SandboxServer(sys.argv[1]).start()
print(server.port, flush=True)
server.wait()
"""


@posix_only
def test_answered_events_survive_kill_9(tmp_path: Path) -> None:
    db = tmp_path / "sandbox.db"
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(db)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        remote = type("Remote", (), {"port": port})()
        with Wire(remote) as wire:
            assert [wire.sale({**SALE, "invoiceId": f"inv_{n}"}).status for n in range(20)] == [200] * 20
            os.kill(process.pid, signal.SIGKILL)
    assert len(list(read_events(db))) == 20
    with SandboxServer(db) as again:
        assert sale(again, {**SALE, "invoiceId": "inv_19"}).status == 409


def test_reset_forgets_everything_under_a_running_server(sandbox: SandboxServer) -> None:
    fill(sandbox)
    assert reset(sandbox.db) == 9
    assert sandbox.events() == sandbox.attempts() == []
    assert lead(sandbox, {**FOLLOW_UP, "customerExternalId": "cus_1"}).status == 404
    fill(sandbox)
    assert [event.id for event in sandbox.events()] == list(range(1, 10))
    assert reset(sandbox.db) == 9
    assert reset(sandbox.db) == 0


def test_reset_leaves_no_personal_data_in_the_file(sandbox: SandboxServer) -> None:
    for number in range(50):
        lead(sandbox, {**LEAD, "customerEmail": f"person{number}@example.com"})
    sandbox.close()
    assert b"person7@example.com" in sandbox.db.read_bytes()
    assert reset(sandbox.db) == 50
    assert not any(b"@example.com" in path.read_bytes() for path in sandbox.db.parent.iterdir())


@posix_only
def test_a_store_is_read_where_nothing_can_be_written(sandbox: SandboxServer) -> None:
    """A store on a read-only disk or in a read-only folder can be read."""
    fill(sandbox)
    sandbox.close()
    sandbox.db.chmod(0o444)
    sandbox.db.parent.chmod(0o555)
    try:
        code = "import sys; from cms_cli.sandbox import *; print(len(list(read_events(sys.argv[1]))))"
        result = subprocess.run(
            [*without_privileges(), sys.executable, "-c", code, str(sandbox.db)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    finally:
        sandbox.db.parent.chmod(0o755)
    assert (result.stdout, result.stderr) == ("9\n", "")
    assert [child.name for child in sandbox.db.parent.iterdir()] == [sandbox.db.name]


def without_privileges() -> list[str]:
    """Return the command prefix that makes file modes apply to root as well."""
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("root may write anywhere, and cannot give that up here")
    return prefix


def test_a_damaged_store_is_removed_by_reset(sandbox: SandboxServer) -> None:
    fill(sandbox)
    sandbox.close()
    data = bytearray(sandbox.db.read_bytes())
    data[100:] = b"\xff" * (len(data) - 100)
    sandbox.db.write_bytes(data)
    with pytest.raises(StoreError, match=r"sandbox\.db"):
        SandboxServer(sandbox.db)
    with pytest.raises(StoreError, match=r"sandbox\.db"):
        list(read_events(sandbox.db))
    assert reset(sandbox.db) == 0
    with SandboxServer(sandbox.db) as fresh:
        assert lead(fresh).status == 200


def test_another_versions_store_is_refused_and_reset(sandbox: SandboxServer) -> None:
    fill(sandbox)
    sandbox.close()
    with closing(sqlite3.connect(sandbox.db)) as connection:
        connection.execute("PRAGMA user_version=99")
        connection.execute('CREATE TABLE "odd "" name" (a)')
    for use in (SandboxServer, lambda path: list(read_events(path))):
        with pytest.raises(StoreError, match="another version") as caught:
            use(sandbox.db)
        assert caught.value.cleared_by_reset
    assert reset(sandbox.db) == 9
    assert list(read_events(sandbox.db)) == []


@pytest.mark.parametrize("content", ["text", "database"])
def test_a_file_that_is_not_a_store_stays_unchanged(tmp_path: Path, content: str) -> None:
    path = tmp_path / "precious.db"
    if content == "text":
        path.write_text("precious")
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE events (id)")
    before = path.read_bytes()
    for use in (SandboxServer, reset, lambda path: list(read_events(path))):
        with pytest.raises(StoreError, match="not a sandbox's store") as caught:
            use(path)
        assert not caught.value.cleared_by_reset
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["precious.db"]


def test_a_place_where_no_store_can_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "sandbox.db"):
        with pytest.raises(StoreError, match="sandbox's store"):
            SandboxServer(path)


def test_a_store_that_fails_is_a_500_that_says_so_and_is_kept(tmp_path: Path) -> None:
    with SandboxServer(tmp_path / "sandbox.db") as sandbox:
        with closing(sqlite3.connect(sandbox.db)) as connection:
            connection.execute("DROP TABLE events")
        answer = sale(sandbox)
        assert (answer.status, answer.json["success"]) == (500, False)
        assert "sandbox itself" in answer.json["error"]
        assert isinstance(sandbox.failure, sqlite3.Error)


def test_the_store_has_every_attempt(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(faults="sale.5xx-after@1")
    lead(sandbox, SET_UP)
    sale(sandbox)
    sale(sandbox)
    lead(sandbox, {"customerExternalId": "\ud800"})
    lead(sandbox, b"[]", Authorization="nothing")
    attempts = list(read_attempts(sandbox.db))
    assert [(a.id, a.method, a.path, a.subject, a.event_id, a.counted) for a in attempts] == [
        (1, "POST", "/track/lead", "cus_1", 1, True),
        (2, "POST", "/track/sale", "inv_1", 2, True),
        (3, "POST", "/track/sale", "inv_1", None, True),
        (4, "POST", "/track/lead", "?", None, True),
        (5, "POST", "/track/lead", None, None, False),
    ]
    assert [a.fault for a in attempts] == [None, "5xx-after", "5xx-after", None, None]
    assert attempts == sorted(attempts, key=lambda attempt: attempt.at_ns)
    assert [a.id for a in read_attempts(sandbox.db, since_id=2, limit=2)] == [3, 4]


def test_a_store_of_its_own_is_gone_with_the_server() -> None:
    with SandboxServer() as sandbox:
        assert lead(sandbox).status == 200
        folder = sandbox.db.parent
        assert len(sandbox.events()) == 1
    assert not folder.exists()
