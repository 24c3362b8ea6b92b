"""The token in dicts, logs and exceptions: it is never shown, and nothing is logged by default."""

from __future__ import annotations

import logging
import traceback
from datetime import datetime
from typing import Any, Callable
from urllib.parse import quote

import pytest
from faultserver import DROP, FaultServer, Reply, json_reply, refusing_port
from sdk_events import TOKEN, track

from cms_python import CMSClient

MakeClient = Callable[..., CMSClient]


def test_repr() -> None:
    """``repr`` shows the host and not the token."""
    with CMSClient(TOKEN, "https://x.example") as client:
        assert TOKEN not in repr(client) + str(client) + f"{client}"
        assert "https://x.example" in repr(client)


ECHO = {"success": False, "error": f"jwt malformed: {TOKEN}", "details": {"token": [TOKEN]}, "statusCode": 401}
LEAKS = {
    "success": json_reply(200, {"success": True}),
    "refusal": json_reply(422, {"success": False, "error": "x"}),
    "echo": json_reply(401, ECHO),
    "echo in a success": json_reply(200, {"success": True, "message": TOKEN, "data": {"token": TOKEN}}),
    "echo in plain text": Reply(400, f"bad token {TOKEN}".encode()),
    "echo in a redirect": Reply(302, b"", (("Location", f"https://x.example/?t={TOKEN}"),)),
    "echo in a line that is no status": Reply(raw=f"HTTP/9 {TOKEN}\r\n\r\n".encode()),
    "broken": Reply(raw=b"HTTP/1.1 200 OK\r\nX y z\r\n: :\r\nContent-Length: 0\r\n\r\n"),
    "drop": DROP,
}


@pytest.mark.parametrize("name", LEAKS)
def test_token_is_never_shown(
    server: FaultServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture, clock: Any, name: str
) -> None:
    """Neither dicts nor logs of any level, urllib3's included, show the token, even if the service echoes it."""
    with caplog.at_level(logging.DEBUG):
        client = make_client(retries=1)
        server.script(LEAKS[name], LEAKS[name])
        for kind in ("lead", "sale"):
            assert TOKEN not in repr(track(client, kind))
    assert caplog.records
    assert TOKEN not in caplog.text
    assert all(TOKEN not in repr(vars(record)) for record in caplog.records)


KEY = "k3y/with+signs~and=="
ESCAPED = {
    "with slashes escaped": KEY.replace("/", "\\/"),
    "with all but letters and digits escaped": "".join(c if c.isalnum() else f"\\u{ord(c):04X}" for c in KEY),
    "not at all": KEY,
}


@pytest.mark.parametrize("name", ESCAPED)
def test_escaped_token_is_not_shown(server: FaultServer, name: str) -> None:
    """A token that the service echoes with JSON escapes is masked."""
    body = b'{"success":false,"error":"no such key: %s","details":{"key":["%s"]}}' % ((ESCAPED[name].encode(),) * 2)
    server.script(Reply(401, body, (("Content-Type", "application/json"),)))
    with CMSClient(KEY, server.url) as client:
        answer = track(client, "lead")
    assert (answer["error"], answer["details"]) == ("no such key: [token]", {"key": ["[token]"]})


def test_token_in_an_address_is_not_shown(server: FaultServer) -> None:
    """A token in the address of a redirect is masked, even if it is escaped."""
    server.script(Reply(302, b"", (("Location", f"https://x.example/?key={quote(KEY, safe='')}&x=1"),)))
    with CMSClient(KEY, server.url) as client:
        answer = track(client, "lead")
    assert "https://x.example/?key=[token]&x=1" in answer["error"]


def test_token_is_in_no_exception(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exceptions and their tracebacks do not contain the token."""
    with refusing_port() as port:
        client = make_client(f"http://127.0.0.1:{port}", retries=0)
        assert TOKEN not in repr(track(client, "lead"))
    client.close()
    with pytest.raises(RuntimeError, match="closed") as closed:
        track(client, "lead")
    with pytest.raises(ValueError, match="token") as refused:
        CMSClient(TOKEN + "\n")
    for caught in (closed, refused):
        text = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
        assert "Traceback" in text
        assert TOKEN not in text


def test_debug_log_says_what_happened(
    server: FaultServer, client: CMSClient, caplog: pytest.LogCaptureFixture, clock: Any
) -> None:
    """The debug log names the request, and nothing is logged above INFO."""
    server.script(Reply(503))
    with caplog.at_level(logging.DEBUG, logger="cms_python"):
        track(client, "lead")
    ours = [record for record in caplog.records if record.name.startswith("cms_python")]
    assert any("/track/lead" in record.getMessage() for record in ours)
    assert all(record.levelno <= logging.INFO for record in ours)


def test_nothing_is_printed(server: FaultServer, client: CMSClient, capfd: pytest.CaptureFixture[str]) -> None:
    """A call prints nothing."""
    server.script(json_reply(422, {"error": "x"}), DROP)
    for kind in ("lead", "lead"):
        track(client, kind, timestamp=datetime(2026, 1, 1))  # noqa: DTZ001
    assert capfd.readouterr() == ("", "")
