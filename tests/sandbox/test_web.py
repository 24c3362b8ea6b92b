"""The page's server side: access, headers, files and the overview, all without touching the API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

import cms_cli.sandbox
from cms_cli.replay.values.currencies import EXPONENTS
from cms_cli.sandbox import SandboxServer
from cms_cli.sandbox.report import open_report
from cms_cli.sandbox.timeline import read_timeline, steps
from cms_cli.sandbox.web import FOLDER

from .conftest import StartSandbox
from .talk import FOLLOW_UP, HEADERS, LEAD, SALE, SET_UP, Response, as_json, lead, sale, send
from .totals import by_click

PAGE = Path(cms_cli.sandbox.__file__).parent / "page"
OVERVIEW = f"{FOLDER}/overview"
DAY = 86_400


def paths() -> list[str]:
    files = [f"{FOLDER}/{file.name}" for file in sorted(PAGE.iterdir()) if file.name != "page.html"]
    return ["/", OVERVIEW, *files]


def overview(server: SandboxServer, **params: str) -> Response:
    query = "&".join(f"{name}={quote(value)}" for name, value in params.items())
    return send(server, "GET", f"{OVERVIEW}?{query}")


@pytest.mark.parametrize("path", paths())
def test_every_file_is_served_and_locked_down(sandbox: SandboxServer, path: str) -> None:
    """Each file has its type and a strict content security policy; HEAD has no body, POST is 405."""
    answer = send(sandbox, "GET", path)
    assert answer.status == 200
    assert answer.body
    types = {"css": "text/css", "svg": "image/svg+xml", "js": "text/javascript", "/": "text/html"}
    ending = path.rpartition(".")[2] if "." in path else path
    assert answer.headers["content-type"].startswith(types.get(ending, "application/json"))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
    assert send(sandbox, "HEAD", path).body == b""
    assert send(sandbox, "POST", path).status == 405


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [*(("GET", path, 200) for path in paths()), ("POST", "/track/lead", 200), ("POST", "/track/sale", 422)],
)
def test_another_name_for_this_machine_is_turned_away(
    sandbox: SandboxServer, method: str, path: str, right: int
) -> None:
    """A request with another Host header gets 421 and records nothing, against DNS rebinding."""

    def answer_to(host: str) -> Response:
        body = as_json(LEAD) if method == "POST" else None
        return send(sandbox, method, path, body, **{**HEADERS, "Host": host})

    port = sandbox.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert answer_to(host).status == right
    recorded = len(sandbox.events())
    for host in (
        *("evil.example", f"evil.example:{port}", "127.0.0.1", "localhost", f"127.0.0.1:{port + 1}", ""),
        *(f"127.0.0.1.evil.example:{port}", f"localhost.:{port}", f"user@127.0.0.1:{port}", f"127.1:{port}"),
    ):
        answer = answer_to(host)
        assert (answer.status, answer.json["type"]) == (421, "misdirected_request")
    assert len(sandbox.events()) == recorded


def test_the_page_is_no_attempt_at_the_api(start_sandbox: StartSandbox) -> None:
    """The page needs no token, is not limited or faulted, and records no attempt."""
    sandbox = start_sandbox(rate_limit="1/m", faults="5xx", token="secret", latency_ms=0)
    for path in paths() * 2:
        assert send(sandbox, "GET", path).status == 200
    assert sandbox.attempts() == []
    assert send(sandbox, "GET", f"{FOLDER}/nothing").status == 404
    assert send(sandbox, "GET", f"{FOLDER}/../service.py").status == 404


def test_the_files_hold_nothing_inline_and_nothing_from_elsewhere() -> None:
    """The page's files have no inline code, no outside addresses, and no way from text to HTML."""
    html = (PAGE / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\son\w+=|\sstyle=|<script(?![^>]*\ssrc=)", html)
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(?:https?:)?//[\w.-]+\.\w", re.sub(r"(?m)//\s.*$", "", text)), file
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", text), (
            file
        )


def test_the_currencies_of_the_page_are_those_of_iso_4217() -> None:
    """The page's own table of currency decimals matches the program's."""
    code = (PAGE / "money.js").read_text(encoding="utf-8")
    table = code.split("const DECIMALS = {")[1].split("};")[0]
    found = {
        currency: int(digits)
        for digits, codes in re.findall(r"(\d): [\"`]([^\"`]*)[\"`]", table)
        for currency in codes.split()
    }
    assert found == EXPONENTS


def test_the_overview_is_that_of_the_store(sandbox: SandboxServer) -> None:
    """The overview has the store's totals, clicks, timeline and events, the latest first, with amounts as text."""
    lead(sandbox, SET_UP)
    lead(sandbox, FOLLOW_UP)
    sale(sandbox, {**SALE, "clickId": "clk_2", "amount": 2**53 - 1, "timestamp": "2026-04-10T12:00:00Z"})
    found = overview(sandbox).json
    assert found["total"] == {
        "clicks": 2,
        "leads": 2,
        "sales": 1,
        "revenue": [{"currency": "USD", "sales": 1, "amount": str(2**53 - 1), "clicks": 1}],
    }
    assert [(click["clickId"], click["leads"], click["sales"]) for click in found["clicks"]] == [
        *(("clk_2", 0, 1), ("clk_1", 2, 0)),
    ]
    assert [event["id"] for event in found["events"]] == [3, 2, 1]
    assert found["events"][0]["happenedAt"] == "2026-04-10T12:00:00.000Z"
    assert found["currency"] == "USD"
    assert {
        line["clickId"]: (sum(line["leads"]), sum(map(int, line["amounts"]))) for line in found["timeline"]["lines"]
    } == {
        "clk_1": (2, 0),
        "clk_2": (0, 2**53 - 1),
    }


def test_without_news_there_is_nothing_but_the_tag(sandbox: SandboxServer) -> None:
    """A client with the latest tag gets only the tag; an event and a reset change it."""
    tags = [overview(sandbox).json["tag"]]
    for change in (lambda: lead(sandbox), lambda: cms_cli.sandbox.reset(sandbox.db), lambda: lead(sandbox)):
        assert overview(sandbox, tag=tags[-1]).json == {"tag": tags[-1]}
        change()
        found = overview(sandbox, tag=tags[-1]).json
        assert "total" in found
        tags.append(found["tag"])
    assert tags[1] != tags[3]


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({}, [4, 3, 2, 1]),
        ({"kind": "sale"}, [4]),
        ({"click": "clk_2"}, [3]),
        ({"text": "ACTIVATED"}, [2]),
        ({"text": "jürgen"}, [4]),
        ({"text": "JÜRGEN"}, [4]),
        ({"text": "clk_1"}, [4, 2, 1]),
        ({"text": "clickid"}, []),
        ({"text": "50%_"}, [3]),
        ({"text": "clk_1", "kind": "lead"}, [2, 1]),
        ({"text": "nothing like it"}, []),
    ],
)
def test_the_filter(sandbox: SandboxServer, params: dict[str, str], ids: list[int]) -> None:
    """Kind and click match exactly; text matches any value in any letter case, but no field name."""
    lead(sandbox, SET_UP)
    lead(sandbox, FOLLOW_UP)
    lead(sandbox, {**LEAD, "clickId": "clk_2", "customerExternalId": "50%_off"})
    sale(sandbox, {**SALE, "customerName": "Jürgen"})
    found = overview(sandbox, **params).json
    assert [event["id"] for event in found["events"]] == ids
    assert found["total"]["leads"] + found["total"]["sales"] == len(ids)


@pytest.mark.parametrize(
    "query",
    [
        *("kind=refund", "order=random", "clock=sundial", "steps=1", "steps=1000", "steps=x", "steps=9999999999"),
        *("limit=1", "&".join("kind=lead" for _ in range(50)), "steps=%C2%B2"),
    ],
)
def test_an_unknown_parameter_or_value_is_400(sandbox: SandboxServer, query: str) -> None:
    """An unknown parameter or value is answered 400 in the shape of the API's errors."""
    answer = send(sandbox, "GET", f"{OVERVIEW}?{query}")
    assert (answer.status, answer.json["success"]) == (400, False)


def test_any_bytes_in_a_query_are_answered(sandbox: SandboxServer) -> None:
    """A query with invalid UTF-8, a lone surrogate or a zero byte is answered without a failure."""
    for text in ("%ff", "%ed%a0%80", "%00", "%", "'%22;--", "%F0%9F%98%80"):
        assert send(sandbox, "GET", f"{OVERVIEW}?text={text}&click={text}&currency={text}").status == 200
    assert sandbox.failure is None


def test_a_store_that_cannot_be_read_is_503(sandbox: SandboxServer) -> None:
    """An unreadable store answers 503 to the page and does not count as an internal failure."""
    sandbox.db.write_bytes(b"not a store at all " * 10)
    answer = overview(sandbox)
    assert answer.status == 503
    assert "not a sandbox's store" in answer.json["error"]
    assert sandbox.failure is None


# --- the timeline ---


def test_the_timeline_adds_up(sandbox: SandboxServer) -> None:
    """Every lead and every cent is in exactly one step, for any number of steps."""
    for number in range(40):
        event = {**SALE, "clickId": f"clk_{number % 9}", "invoiceId": f"i{number}", "amount": number}
        at = f"2026-04-{number % 28 + 1:02}T{number % 24:02}:00:00.999999999Z"
        assert sale(sandbox, {**event, "timestamp": at}).status == 200
        assert lead(sandbox, {**LEAD, "clickId": f"clk_{number % 9}", "timestamp": at}).status == 200
    expected = by_click(sandbox.events())
    for most in (2, 7, 40, 200):
        for clock in ("happened", "arrived"):
            with open_report(sandbox.db) as report:
                found = read_timeline(report, ["clk_3", "clk_1"], "USD", clock, most)
            assert found.count <= most
            lines = {line.click_id: line for line in found.lines}
            assert list(lines) == ["clk_3", "clk_1", None]
            for click in ("clk_3", "clk_1"):
                assert sum(lines[click].leads) == expected[click]["leads"]
                assert sum(lines[click].amounts) == expected[click]["revenue"]["USD"]
            assert sum(sum(line.leads) for line in found.lines) == 40
            assert sum(sum(line.amounts) for line in found.lines) == sum(range(40))


@pytest.mark.parametrize(
    ("earliest", "latest", "most", "expected"),
    [
        (0.0, 0.0, 40, (0, 1, 1)),
        (100.5, 100.9, 40, (100, 1, 1)),
        (0.0, 59.0, 60, (0, 1, 60)),
        (0.0, 59.0, 59, (0, 2, 30)),
        (10 * DAY + 5.0, 40 * DAY + 5.0, 31, (10 * DAY, DAY, 31)),
        (-3.5, 3.5, 10, (-4, 1, 8)),
        (-5.0, 9.0, 2, (-10, 10, 2)),
    ],
)
def test_steps_are_round_and_hold_both_ends(
    earliest: float, latest: float, most: int, expected: tuple[int, int, int]
) -> None:
    """The step is the shortest round one that covers both ends within the allowed number."""
    assert steps(earliest, latest, most) == expected


@pytest.mark.parametrize("most", [2, 3, 8, 40, 200])
def test_all_of_time_can_be_drawn(most: int) -> None:
    """A timeline from year 1 to year 9999 can be drawn."""
    earliest, latest = -62_135_596_800.0, 253_402_300_799.999
    for start in (earliest, 0.0, latest - 5):
        first, step, count = steps(start, latest, most)
        assert first <= start
        assert latest < first + step * count
        assert 1 <= count <= most


def test_the_overview_is_ascii(sandbox: SandboxServer) -> None:
    """The overview is ASCII, so that no browser can misread its encoding."""
    lead(sandbox, {**LEAD, "clickId": "</script>\u2028ü"})
    answer = overview(sandbox)
    assert answer.body.isascii()
    assert json.loads(answer.body)["clicks"][0]["clickId"] == "</script>\u2028ü"
