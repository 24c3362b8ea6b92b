"""Clients in forked and spawned processes, and clients that are never closed."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from faultserver import FaultServer, Received, Reply, json_reply
from sdk_events import TOKEN

HERE = Path(__file__).parent

FORKING = """
import os, sys
from cms_python import CMSClient

client = CMSClient(sys.argv[1], sys.argv[2])

def track(who):
    answer = client.track_lead("signup", who)
    assert answer["success"] and answer["data"] == {"you": who}, answer

track("before")
child = os.fork()
if not child:
    try:
        track("child")
        client.close()
    except BaseException as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)
status = os.waitpid(child, 0)[1]
track("parent")
client.close()
sys.exit(status != 0)
"""

NEVER_CLOSED = """
import sys
from cms_python import CMSClient

client = CMSClient(sys.argv[1], sys.argv[2])
assert client.track_lead("signup", "at the end")["success"]
another = CMSClient(sys.argv[1], sys.argv[2])
assert another.track_lead("signup", "before the end")["success"]
del another
"""


def echo(request: Received) -> Reply:
    return json_reply(200, {"success": True, "data": {"you": request.json["customerExternalId"]}})


def run(code: str, host: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", code, TOKEN, host],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), **environment},
    )


@pytest.fixture(params=["http", "proxy", "tls"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FaultServer, str, dict[str, str]]:
    """Return an echoing server, the host to name, and the environment to reach it."""
    if request.param == "tls":
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server = FaultServer(default=echo, tls=context)
        return server, server.url, {"REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem")}
    server = FaultServer(default=echo)
    if request.param == "http":
        return server, server.url, {}
    return server, "http://api.example", {"HTTP_PROXY": server.url}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_fork(place: tuple[FaultServer, str, dict[str, str]]) -> None:
    """A forked process opens its own connections, since on shared ones each would read the other's answers."""
    server, host, environment = place
    with server:
        done = run(FORKING, host, **environment)
        assert done.returncode == 0, done.stderr
        assert [request.json["customerExternalId"] for request in server.requests] == ["before", "child", "parent"]
        _, child, parent = (request.connection for request in server.requests)
        assert child != 1
        assert parent != child


def test_never_closed(place: tuple[FaultServer, str, dict[str, str]]) -> None:
    """A client that is never closed leaves no unclosed socket for Python to warn about."""
    server, host, environment = place
    with server:
        done = run(NEVER_CLOSED, host, **environment)
        assert done.returncode == 0, done.stderr
        assert "unclosed" not in done.stderr


PASSED_ON = """
import copy, multiprocessing, pickle, sys
from cms_python import CMSClient

def track(client, who):
    answer = client.track_lead("signup", who)
    assert answer["success"] and answer["data"] == {"you": who}, answer

if __name__ == "__main__":
    client = CMSClient(sys.argv[1], sys.argv[2])
    track(client, "before")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(track, (client, "child"))
    for other in (copy.deepcopy(client), pickle.loads(pickle.dumps(client))):
        track(other, "a copy")
        other.close()
        track(client, "the first")
    client.close()
    for closed in (copy.deepcopy(client), pickle.loads(pickle.dumps(client))):
        try:
            track(closed, "nobody")
        except RuntimeError:
            continue
        sys.exit("a closed one's copy sends")
"""


def test_a_client_in_use_can_be_passed_to_another_process(
    place: tuple[FaultServer, str, dict[str, str]], tmp_path: Path
) -> None:
    """A copied or pickled client opens its own connections, even after the original has sent events."""
    server, host, environment = place
    file = tmp_path / "program.py"
    file.write_text(PASSED_ON)
    with server:
        result = subprocess.run(
            [sys.executable, "-X", "dev", str(file), TOKEN, host],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), **environment},
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert len(server.requests) == 6
