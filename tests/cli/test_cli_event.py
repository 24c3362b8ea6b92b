"""A single event: from the command line to the request, and from the answer to the exit code."""

from __future__ import annotations

import re
import time

import pytest
from faultserver import DROP, FaultServer, Reply, html_reply, json_reply
from program import Program

LEAD = ("lead", "--event-name", "signup", "--customer-external-id", "user_42", "--click-id", "id_1")
SALE = (
    *("sale", "--event-name", "purchase", "--customer-external-id", "user_42", "--click-id", "id_1"),
    *("--invoice-id", "inv_1", "--amount", "4999", "--currency", "usd"),
)


def refusal(status: int, text: str = "no", **more: object) -> Reply:
    return json_reply(status, {"success": False, "error": text, "statusCode": status, **more})


def test_a_lead_reaches_the_service_with_its_wire_names(online: Program, service: FaultServer) -> None:
    """A lead is sent with the token and exactly the given fields, under their wire names."""
    result = online(
        *LEAD,
        *(
            "--customer-name",
            "Ada",
            "--customer-email",
            "ada@example.com",
            "--customer-avatar",
            "https://a.b/c.png",
        ),
        *("--timestamp", "2026-04-10 14:34:56+02:00", "--mode", "deferred", "--json"),
    )

    assert result.code == 0, result.stderr
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", "/track/lead")
    assert request.headers["Authorization"] == f"Bearer {online.env['CMS_BEARER_TOKEN']}"
    assert request.json == {
        "clickId": "id_1",
        "eventName": "signup",
        "customerExternalId": "user_42",
        "customerName": "Ada",
        "customerEmail": "ada@example.com",
        "customerAvatar": "https://a.b/c.png",
        "timestamp": "2026-04-10T12:34:56.000Z",
        "mode": "deferred",
    }


def test_a_sale_reaches_the_service_with_its_wire_names(online: Program, service: FaultServer) -> None:
    """A sale is sent with its amount as an integer in minor units and its currency in upper case."""
    assert online(*SALE).code == 0

    (request,) = service.requests
    assert request.path == "/track/sale"
    assert request.json == {
        "clickId": "id_1",
        "eventName": "purchase",
        "customerExternalId": "user_42",
        "invoiceId": "inv_1",
        "amount": 4999,
        "currency": "USD",
    }


def test_deferred_is_short_for_its_mode(online: Program, service: FaultServer) -> None:
    """``--deferred`` sends ``mode: deferred``."""
    assert online(*LEAD, "--deferred").code == 0
    assert service.requests[0].json["mode"] == "deferred"


def test_json_is_the_dict_of_the_sdk(online: Program) -> None:
    """``--json`` writes exactly the SDK's dict to stdout, and nothing to stderr."""
    result = online(*LEAD, "--json")

    assert result.json == {"success": True, "message": "Event tracked successfully", "data": {"id": "evt_1"}}
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "env"), [(("--output", "jsonl"), {}), ((), {"CMS_OUTPUT": "jsonl"})], ids=["flag", "variable"]
)
def test_json_lines_is_one_line(online: Program, arguments: tuple[str, ...], env: dict[str, str]) -> None:
    """``--output jsonl`` and CMS_OUTPUT=jsonl write the dict on one line."""
    result = online(*LEAD, *arguments, env=env)

    assert result.stdout.count("\n") == 1
    assert result.json_lines[0]["success"] is True


def test_a_table_in_a_pipe_is_aligned_plain_text(online: Program) -> None:
    """Without ``--json`` a pipe receives aligned plain text without escapes."""
    result = online(*LEAD)

    assert result.stdout == "lead     accepted\nmessage  Event tracked successfully\nid       evt_1\n"


def test_dry_run_sends_nothing_and_needs_no_token(program: Program, service: FaultServer) -> None:
    """``--dry-run`` shows URL and body of the request and sends nothing."""
    result = program(*SALE, "--dry-run", "--json", "--host", service.url + "/")

    assert result.code == 0, result.stderr
    assert result.json == {
        "dry_run": True,
        "url": f"{service.url}/track/sale",
        "body": {
            "clickId": "id_1",
            "eventName": "purchase",
            "customerExternalId": "user_42",
            "invoiceId": "inv_1",
            "amount": 4999,
            "currency": "USD",
        },
    }
    assert service.connections == []


def test_a_dry_run_shows_a_table_as_well(program: Program) -> None:
    """Without ``--json`` a dry run shows the URL and the fields of the body."""
    result = program(*LEAD, "--dry-run")

    assert result.stdout.splitlines()[0].split() == ["POST", "https://www.cutmeshort.com/track/lead"]
    assert "eventName" in result.stdout
    assert result.stderr == "nothing was sent\n"


def test_a_dry_run_runs_no_token_command(program: Program) -> None:
    """A dry run does not run the token command."""
    program.config.write_text('token_command = "touch ran"\n')

    assert program(*LEAD, "--dry-run").code == 0
    assert not (program.home / "ran").exists()


def test_everything_missing_is_named_at_once(online: Program, service: FaultServer) -> None:
    """Missing flags exit with 2; all of them are named in the message and in the JSON, and nothing is sent."""
    result = online("sale", "--json")

    assert result.code == 2
    assert list(result.json) == ["success", "error", "exit_code", "hint"]
    assert (result.json["success"], result.json["exit_code"]) == (False, 2)
    assert result.stderr == f"error: {result.json['error']}\n{result.json['hint']}\n"
    for flag in ("--click-id", "--event-name", "--customer-external-id", "--invoice-id", "--amount", "--currency"):
        assert f"{flag} is required" in result.stderr
    assert "cms sale --help" in result.stderr
    assert service.requests == []


def test_every_broken_rule_is_named_at_once(online: Program, service: FaultServer) -> None:
    """Invalid values and missing flags are all named at once; the command exits with 2 and sends nothing."""
    result = online(
        *("sale", "--click-id", "", "--event-name", "e" * 256, "--invoice-id", "inv_1", "--amount", "49.99"),
        *("--currency", "US", "--customer-email", "ada", "--customer-avatar", "ftp://a/b", "--timestamp", "soon"),
    )

    assert (result.code, result.stdout) == (2, "")
    flags = [line.split()[0] for line in result.stderr.splitlines() if line.startswith("  --")]
    assert flags == [
        *("--click-id", "--event-name", "--customer-external-id", "--amount", "--currency"),
        *("--customer-email", "--customer-avatar", "--timestamp"),
    ]
    assert "--amount-unit major" in result.stderr
    assert service.requests == []


@pytest.mark.parametrize("unit", ["minor", "major"])
@pytest.mark.parametrize("text", ["", "abc", "-5", "4,99", "1.234", "9" * 20])
def test_the_way_out_of_a_wrong_amount(program: Program, unit: str, text: str) -> None:
    """The message about a single event's amount names no column and no flag that only a file has."""
    sale = [*SALE, "--dry-run", "--amount-unit", unit, f"--amount={text}"]
    result = program(*sale)

    assert result.code == 2
    assert not re.findall(r"--where|--decimal|--date-format|column", result.stderr)


@pytest.mark.parametrize(
    "text", ["", "soon", "04/05/2026", "30/13/2026", "45123", "2026-02-30", "2026-03-29 02:30"]
)
def test_the_way_out_of_a_wrong_time(program: Program, text: str) -> None:
    """The message about a single event's time names no column and no flag that only a file has."""
    result = program(*LEAD, "--dry-run", "--timezone", "Europe/Berlin", "--timestamp", text)

    assert result.code == 2
    assert "--timestamp" in result.stderr
    assert not re.findall(r"--where|--decimal|--date-format|column|map ", result.stderr)


def test_a_deferred_lead_needs_its_click(online: Program) -> None:
    """``--deferred`` without ``--click-id`` exits with 2 and names ``--click-id``."""
    result = online("lead", "--event-name", "a", "--customer-external-id", "b", "--deferred")

    assert result.code == 2
    assert "--click-id is needed with" in result.stderr


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("49.99", "USD", 4999), ("4999", "JPY", 4999), ("1.5", "kwd", 1500), ("0", "EUR", 0)],
)
def test_major_units_are_converted_exactly(program: Program, amount: str, currency: str, minor: int) -> None:
    """``--amount-unit major`` is converted exactly, by the currency's number of decimals."""
    flags = ("--amount", amount, "--currency", currency, "--amount-unit", "major")
    result = program(*SALE[:-4], *flags, "--dry-run", "--json")

    assert result.json["body"]["amount"] == minor


@pytest.mark.parametrize(("amount", "currency"), [("49.999", "USD"), ("1.5", "JPY"), ("1,50", "EUR"), ("1", "XXQ")])
def test_major_units_are_never_rounded_or_guessed(program: Program, amount: str, currency: str) -> None:
    """Too many decimals, a comma or an unknown currency exit with 2 and name ``--amount``."""
    flags = ("--amount", amount, "--currency", currency, "--amount-unit", "major")
    result = program(*SALE[:-4], *flags, "--dry-run")

    assert (result.code, result.stdout) == (2, "")
    assert "--amount " in result.stderr


@pytest.mark.parametrize(
    ("flags", "wire"),
    [
        (("--timestamp", "2026-04-10"), "2026-04-10T00:00:00.000Z"),
        (("--timestamp", "1775824496"), "2026-04-10T12:34:56.000Z"),
        (("--timestamp", "2026-04-10T14:34:56", "--timezone", "Europe/Berlin"), "2026-04-10T12:34:56.000Z"),
    ],
    ids=["date", "unix seconds", "zone"],
)
def test_times_are_read_as_people_write_them(program: Program, flags: tuple[str, ...], wire: str) -> None:
    """``--timestamp`` takes a date, Unix seconds, or a local time in ``--timezone``."""
    assert program(*LEAD, *flags, "--dry-run", "--json").json["body"]["timestamp"] == wire


def test_now_is_a_time(program: Program) -> None:
    """``--timestamp now`` is the current time in UTC."""
    stamp = program(*LEAD, "--timestamp", "now", "--dry-run", "--json").json["body"]["timestamp"]

    assert stamp[:13] in {time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() - back)) for back in (0, 60)}
    assert stamp.endswith("Z")


def test_an_unknown_zone_is_an_error(program: Program) -> None:
    """An unknown ``--timezone`` exits with 2 and names the closest one."""
    result = program(*LEAD, "--timestamp", "2026-04-10", "--timezone", "Berlin", "--dry-run")

    assert result.code == 2
    assert "Europe/Berlin" in result.stderr


@pytest.mark.parametrize(
    ("command", "answer", "code"),
    [
        (LEAD, refusal(422, "Validation failed", details={"eventName": "unknown event"}), 1),
        (LEAD, refusal(404, "no deferred association"), 1),
        (LEAD, refusal(409, "Duplicate attribution"), 1),
        (SALE, refusal(409, "exists already"), 0),
        (LEAD, refusal(401, "The token is not valid"), 4),
        (SALE, refusal(403, "forbidden"), 4),
        (LEAD, html_reply(200), 5),
        (LEAD, Reply(302, headers=(("Location", "https://elsewhere.example/"),)), 5),
        (LEAD, refusal(500, "boom"), 6),
        (LEAD, DROP, 6),
    ],
    ids=["422", "404", "lead 409", "sale 409", "401", "403", "web page", "redirect", "lead 500", "lead dropped"],
)
def test_what_the_service_says_becomes_the_exit_code(
    online: Program, service: FaultServer, command: tuple[str, ...], answer: Reply, code: int
) -> None:
    """Each kind of answer has its exit code, and the event is sent once."""
    service.script(answer)

    result = online(*command, "--json")

    assert result.code == code, result.stderr
    assert len(service.requests) == 1
    assert result.json["success"] is False
    assert bool(result.stderr) == (code != 0)


@pytest.mark.parametrize(
    "answer", [DROP, refusal(500, "boom"), Reply(200, b"null")], ids=["dropped", "500", "null"]
)
def test_a_sale_that_may_have_arrived_can_be_sent_again(
    online: Program, service: FaultServer, answer: Reply
) -> None:
    """A sale without a clear answer exits with 5, since its invoice makes it safe to send again."""
    service.default = answer

    result = online(*SALE, "--json", "--max-wait", "1")

    assert result.code == 5, result.stderr
    assert result.json["success"] is False


def test_a_lead_with_a_success_that_says_nothing_is_unknown(online: Program, service: FaultServer) -> None:
    """A lead answered by 200 with ``null`` may have been recorded: exit 6, and it is not sent again."""
    service.default = Reply(200, b"null")

    result = online(*LEAD, "--json", "--max-wait", "1")

    assert result.code == 6, result.stderr
    assert len(service.requests) == 1


def test_a_refusal_in_words(online: Program, service: FaultServer) -> None:
    """Without ``--json`` a refusal is a table on stdout, and a message with details and next step on stderr."""
    service.script(refusal(422, "Validation failed", details={"eventName": "unknown event"}))

    result = online(*LEAD)

    assert [line.split(maxsplit=1) for line in result.stdout.splitlines()] == [
        ["lead", "the service refused the lead"],
        ["error", "Validation failed"],
        ["status_code", "422"],
        ["event_name", "unknown event"],
    ]
    assert result.stderr.splitlines() == [
        "error: the service refused the lead: Validation failed (422)",
        "  event_name: unknown event",
        "Nothing was recorded. Correct it and send it again; see: cms lead --help",
    ]
    assert online(*LEAD, "-q").stdout == ""


def test_a_duplicate_sale_is_told_and_fine(online: Program, service: FaultServer) -> None:
    """A sale that the service already has is reported as a duplicate and exits with 0."""
    service.script(refusal(409, "exists already"))

    result = online(*SALE)

    assert result.code == 0
    assert result.stdout.splitlines()[0].startswith("sale")
    assert "duplicate" in result.stdout


def test_a_wait_for_a_retry_is_told_on_stderr(online: Program, service: FaultServer) -> None:
    """Waiting for a retry is reported on stderr; stdout holds the final result."""
    service.script(json_reply(503, {"error": "busy"}, ("Retry-After", "0")))

    result = online(*LEAD, "--json")

    assert result.code == 0
    assert result.json["success"] is True
    assert "busy" in result.stderr
    assert "next in" in result.stderr
    assert len(service.requests) == 2


def test_quiet_says_nothing_when_all_is_well(online: Program, service: FaultServer) -> None:
    """``-q`` hides retries and the table, but neither requested JSON nor errors."""
    service.script(json_reply(503, {"error": "busy"}, ("Retry-After", "0")))
    quiet = online(*LEAD, "-q")
    with_json = online(*LEAD, "-q", "--json")
    service.script(refusal(422))
    refused = online(*LEAD, "-q")

    assert (quiet.code, quiet.stdout, quiet.stderr) == (0, "", "")
    assert with_json.json["success"] is True
    assert refused.stderr.startswith("error: ")


def test_giving_up_after_max_wait(online: Program, service: FaultServer) -> None:
    """A Retry-After beyond ``--max-wait`` ends the command at once with exit 5."""
    service.script(json_reply(429, {"error": "slow down"}, ("Retry-After", "3600")))

    result = online.spawn(*LEAD, "--max-wait", "1800")

    assert result.code == 5
    assert len(service.requests) == 1
    assert "again is safe" in result.stderr


def test_timeout_bounds_a_request(online: Program, service: FaultServer) -> None:
    """A lead without an answer within ``--timeout`` is unknown: exit 6."""
    service.default = json_reply(200, {"success": True}, after=5.0)

    result = online(*LEAD, "--timeout", "0.5")

    assert result.code == 6
    assert "may have been recorded" in result.stderr


def test_nothing_answers(program: Program) -> None:
    """A refused connection exits with 5 after ``--max-wait`` and says that nothing was recorded."""
    result = program(*LEAD, "--max-wait", "0.1", env={"CMS_HOST": "http://127.0.0.1:1", "CMS_BEARER_TOKEN": "t"})

    assert result.code == 5
    assert "Nothing was recorded" in result.stderr


def test_verbose_shows_requests_but_not_the_token(online: Program, service: FaultServer) -> None:
    """``-v`` shows request and answer on stderr; the token is masked even if the service quotes it."""
    token = online.env["CMS_BEARER_TOKEN"]
    service.script(refusal(401, f"token {token} is not known"))

    result = online(*LEAD, "-v", "--json")

    assert "/track/lead" in result.stderr
    assert "user_42" in result.stderr
    assert token not in result.stderr + result.stdout
    assert "is not known" in result.stderr


def test_no_redirect_is_followed(online: Program, service: FaultServer) -> None:
    """A redirect is not followed: exit 5, and the other documented hosts are named."""
    with FaultServer() as elsewhere:
        service.script(Reply(307, headers=(("Location", elsewhere.url),)))
        result = online(*LEAD)

        assert result.code == 5
        assert elsewhere.requests == []
    assert "https://api.cme.sh" in result.stderr


def test_no_proxy_sees_what_stays_on_this_machine(online: Program, service: FaultServer) -> None:
    """Plain http to this machine bypasses HTTP_PROXY, so that no proxy reads the token."""
    with FaultServer() as proxy:
        result = online(*LEAD, env={"HTTP_PROXY": proxy.url, "http_proxy": proxy.url})

        assert result.code == 0, result.stderr
        assert proxy.connections == []
    assert len(service.requests) == 1
