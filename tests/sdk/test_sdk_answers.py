"""Every shape of answer in the contract, over real HTTP, and the dict that it becomes."""

from __future__ import annotations

import gzip
import json
from typing import Any, Callable

import pytest
from faultserver import FaultServer, Reply, html_reply, json_reply
from sdk_events import LEAD, SALE, TOKEN, track

from cms_python import DOCUMENTED_HOSTS, CMSClient, LeadEvent, SaleEvent, Status, TrackResult

KINDS = ("lead", "sale")
MESSAGE = "Event tracked successfully"

SUCCESSES = {
    "as documented": (
        json_reply(200, {"success": True, "message": "Tracked", "data": {"id": "evt_1", "amount": 4999}}),
        "Tracked",
        {"id": "evt_1", "amount": 4999},
    ),
    "status true": (json_reply(200, {"status": True, "data": "successful"}), MESSAGE, {"result": "successful"}),
    "a list as data": (json_reply(200, {"success": True, "data": [1, 2]}), MESSAGE, {"result": [1, 2]}),
    "timestamp only": (
        json_reply(200, {"success": True, "timestamp": "2026-04-10T12:34:56.000Z"}),
        MESSAGE,
        {"timestamp": "2026-04-10T12:34:56.000Z"},
    ),
    "deferred association": (
        json_reply(200, {"message": "Stored", "requestId": "req_1", "deferredAssociationStored": True}),
        "Stored",
        {"request_id": "req_1", "deferred_association_stored": True},
    ),
    "empty 200": (Reply(200), MESSAGE, {}),
    "empty 200 called JSON": (Reply(200, b"", (("Content-Type", "application/json"),)), MESSAGE, {}),
    "blank 200": (Reply(200, b" \r\n"), MESSAGE, {}),
    "204": (Reply(204), MESSAGE, {}),
    "201": (json_reply(201, {"success": True, "message": "Made", "data": {}}), "Made", {}),
    "202, empty object": (json_reply(202, {}), MESSAGE, {}),
    "nulls": (json_reply(200, {"success": True, "message": None, "data": None, "error": None}), MESSAGE, None),
    "a message that is no text": (json_reply(200, {"success": True, "message": ["a"], "data": {}}), MESSAGE, {}),
    "a message of nothing": (json_reply(200, {"success": True, "message": "", "data": {}}), MESSAGE, {}),
    "yes, with errors beside it": (
        json_reply(200, {"success": True, "errors": ["later"], "data": {"a": 1}}),
        MESSAGE,
        {"errors": ["later"], "a": 1},
    ),
    "with a byte order mark": (
        Reply(200, b'\xef\xbb\xbf{"success":true,"data":{"a":1}}', (("Content-Type", "application/json"),)),
        MESSAGE,
        {"a": 1},
    ),
    "JSON called HTML": (
        Reply(200, b'{"success":true,"data":{"a":1}}', (("Content-Type", "text/html"),)),
        MESSAGE,
        {"a": 1},
    ),
    "JSON called nothing": (Reply(200, b'{"success":true,"data":{"a":1}}'), MESSAGE, {"a": 1}),
    "in chunks": (json_reply(200, {"success": True, "data": {"a": 1}}, chunked=True), MESSAGE, {"a": 1}),
    "an empty chunked body": (Reply(200, chunked=True), MESSAGE, {}),
    "until the connection ends": (
        json_reply(200, {"success": True, "data": {"a": 1}}, framed=False),
        MESSAGE,
        {"a": 1},
    ),
    "gzip, unasked": (
        Reply(
            200,
            gzip.compress(b'{"success":true,"data":{"a":1}}'),
            (("Content-Type", "application/json"), ("Content-Encoding", "gzip")),
        ),
        MESSAGE,
        {"a": 1},
    ),
    "text in many scripts": (
        json_reply(200, {"success": True, "message": "記録しました ✓", "data": {"name": "Zoë"}}),
        "記録しました ✓",
        {"name": "Zoë"},
    ),
    "half a character": (
        Reply(200, b'{"success":true,"message":"Zo\\ud83d","data":{"\\udc00":["\\uD83D\\uDE00 \\\\ud83d"]}}'),
        "Zo\ufffd",
        {"\ufffd": ["\U0001f600 \\ud83d"]},
    ),
    "deep JSON": (
        Reply(200, b'{"success":true,"data":' + b'{"a":' * 50 + b"1" + b"}" * 50 + b"}"),
        MESSAGE,
        json.loads(b'{"a":' * 50 + b"1" + b"}" * 50),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SUCCESSES)
def test_success(server: FaultServer, client: CMSClient, kind: str, name: str) -> None:
    """Each shape of success becomes the documented dict, with its content in ``data``."""
    reply, message, data = SUCCESSES[name]
    server.script(reply)
    answer = track(client, kind)
    assert set(answer) == {"success", "message", "data"}
    assert answer["success"] is True
    assert answer["message"] == message
    assert isinstance(answer["data"], dict)
    if data is not None:
        assert answer["data"] == data
    assert len(server.requests) == 1


def error(status: int, text: str = "Nope", kind: str = "some_type", **more: Any) -> Reply:
    return json_reply(status, {"success": False, "error": text, "type": kind, "statusCode": status, **more})


ERRORS: dict[str, tuple[Reply, dict[str, Any]]] = {
    **{
        str(status): (error(status), {"error": "Nope", "status_code": status, "type": "some_type"})
        for status in (400, 401, 403, 404, 409, 422)
    },
    "422 with details": (
        error(422, "Validation failed", "validation_error", details={"clickId": "Required", "other": ["x"]}),
        {
            "error": "Validation failed",
            "status_code": 422,
            "type": "validation_error",
            "details": {"click_id": "Required", "other": ["x"]},
        },
    ),
    "422 with details in groups": (
        error(422, details={"errors": [{"clickId": {"invoiceId": ["x"]}}, None], "form": []}),
        {
            "error": "Nope",
            "status_code": 422,
            "type": "some_type",
            "details": {"errors": [{"click_id": {"invoice_id": ["x"]}}, None], "form": []},
        },
    ),
    "422 with deep details": (
        Reply(422, b'{"error":"Nope","type":"t","details":{"a":' + b"[" * 600 + b"]" * 600 + b"}}"),
        {"error": "Nope", "status_code": 422, "type": "t", "details": {"a": json.loads("[" * 600 + "]" * 600)}},
    ),
    "422 with a list of details": (
        error(422, details=["a", "b"]),
        {"error": "Nope", "status_code": 422, "type": "some_type", "details": {"details": ["a", "b"]}},
    ),
    "no type": (
        json_reply(400, {"success": False, "error": "Bad"}),
        {"error": "Bad", "status_code": 400, "type": "bad_request"},
    ),
    "only a message": (
        json_reply(400, {"message": "Bad"}),
        {"error": "Bad", "status_code": 400, "type": "bad_request"},
    ),
    "an error object": (
        json_reply(400, {"error": {"message": "Bad", "type": "x"}}),
        {"error": "Bad", "status_code": 400, "type": "x"},
    ),
    "plain text": (
        Reply(400, b"Bad thing\n", (("Content-Type", "text/plain"),)),
        {"error": "Bad thing", "status_code": 400, "type": "bad_request"},
    ),
    "JSON called HTML": (
        Reply(400, b'{"error":"Bad"}', (("Content-Type", "text/html"),)),
        {"error": "Bad", "status_code": 400, "type": "bad_request"},
    ),
    "401, JSON called HTML": (
        Reply(401, b'{"error":"Bad"}', (("Content-Type", "text/html"),)),
        {"error": "Bad", "status_code": 401, "type": "unauthorized"},
    ),
    "half a character": (
        json_reply(422, {"error": "Too long: Zo\ud83d", "type": "t\ud83d", "details": {"customerName": "\ud83d"}}),
        {
            "error": "Too long: Zo\ufffd",
            "status_code": 422,
            "type": "t\ufffd",
            "details": {"customer_name": "\ufffd"},
        },
    ),
    "a 4xx that says yes": (
        json_reply(422, {"success": True, "error": "Bad"}),
        {"error": "Bad", "status_code": 422, "type": "validation_error"},
    ),
    "200 success false": (
        json_reply(200, {"success": False, "error": "Bad", "type": "t", "statusCode": 422}),
        {"error": "Bad", "status_code": 422, "type": "t"},
    ),
    "200 success false, no code": (
        json_reply(200, {"success": False, "error": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 200, "type": "t"},
    ),
    "201 status false": (
        json_reply(201, {"status": False, "message": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 201, "type": "t"},
    ),
    "200 status false, and why as data": (
        json_reply(200, {"status": False, "data": "No such click", "type": "t"}),
        {"error": "No such click", "status_code": 200, "type": "t"},
    ),
    "200 status false, why as data, and a code": (
        json_reply(200, {"status": False, "data": "No such click", "type": "t", "statusCode": 404}),
        {"error": "No such click", "status_code": 404, "type": "t"},
    ),
    "an empty object": (
        json_reply(422, {}),
        {
            "error": "the service rejected the event's values",
            "status_code": 422,
            "type": "validation_error",
        },
    ),
    "200 status error": (
        json_reply(200, {"status": "error", "message": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 200, "type": "t"},
    ),
    "200 success as text": (
        json_reply(200, {"success": "false", "message": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 200, "type": "t"},
    ),
    "200 success 0": (
        json_reply(200, {"success": 0, "message": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 200, "type": "t"},
    ),
    "200 with an error and no flag": (
        json_reply(200, {"error": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 200, "type": "t"},
    ),
    "200 with an error and a status number": (
        json_reply(200, {"status": 422, "error": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 200, "type": "t"},
    ),
    "200 with an error status code": (
        json_reply(200, {"statusCode": 422, "message": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 422, "type": "t"},
    ),
    "200 with the lowest error status code": (
        json_reply(200, {"statusCode": 400, "message": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 400, "type": "t"},
    ),
    "200 yes and no": (
        json_reply(200, {"success": True, "status": False, "message": "Bad", "type": "t"}),
        {"error": "Bad", "status_code": 200, "type": "t"},
    ),
    "200 that says 401": (
        json_reply(200, {"success": False, "error": "Bad", "type": "t", "statusCode": 401}),
        {"error": "Bad", "status_code": 401, "type": "t"},
    ),
    "200 with an unlikely code": (
        json_reply(200, {"success": False, "error": "Bad", "type": "t", "statusCode": 7}),
        {"error": "Bad", "status_code": 200, "type": "t"},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ERRORS)
def test_error(server: FaultServer, client: CMSClient, kind: str, name: str) -> None:
    """Each shape of error becomes the documented dict with the service's text and without wire names."""
    reply, expected = ERRORS[name]
    server.script(reply)
    answer = track(client, kind)
    assert answer == {"success": False, **expected}
    assert set(answer) <= set(TrackResult.__annotations__)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind", "what"),
    [
        (400, "bad_request", "could not read the request"),
        (401, "unauthorized", "token"),
        (403, "forbidden", "token"),
        (404, "not_found", "deferred lead"),
        (409, "conflict", "already"),
        (422, "validation_error", "values"),
    ],
)
def test_error_without_a_reason(server: FaultServer, client: CMSClient, status: int, kind: str, what: str) -> None:
    """An error for which the service gives no reason says what its status means."""
    server.script(json_reply(status, {}))
    answer = track(client, "lead")
    assert (answer["status_code"], answer["type"]) == (status, kind)
    assert what in str(answer["error"])


BODILESS = {
    "nothing": Reply,
    "a web page": lambda status: html_reply(status, "<html><body>Secret gateway page</body></html>"),
    "broken JSON": lambda status: Reply(status, b'{"succ', (("Content-Type", "application/json"),)),
}


@pytest.mark.parametrize("body", BODILESS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 422, 429, 500, 501, 502, 503, 504, 520])
def test_error_from_a_gateway(
    server: FaultServer, make_client: Callable[..., CMSClient], status: int, body: str
) -> None:
    """An error status without a JSON body gets a message of the SDK's own, without parts of the page."""
    server.script(BODILESS[body](status))
    answer = track(make_client(retries=0, total_wait=0), "lead")
    assert answer["success"] is False
    assert answer["status_code"] == status
    assert isinstance(answer["error"], str)
    assert len(answer["error"]) > 3
    assert "<" not in answer["error"]
    assert "Secret gateway" not in answer["error"]
    assert isinstance(answer["type"], str)
    assert answer["type"]


STRANGERS = {
    "a 200 web page": (html_reply(200), 200, "web page"),
    "a 201 web page": (html_reply(201), 201, "web page"),
    "a web page called JSON": (
        Reply(200, b"<!doctype html><p>Hi", (("Content-Type", "application/json"),)),
        200,
        "web page",
    ),
    "a web page called nothing": (Reply(200, b"\n <!DOCTYPE html><p>Hi"), 200, "web page"),
    "an empty 404": (Reply(404), 404, "empty answer"),
    "a 404 web page": (html_reply(404), 404, "web page"),
    "a 405 without JSON": (Reply(405, b"Method not allowed"), 405, "not a JSON object"),
    "a 422 web page": (html_reply(422), 422, "web page"),
    **{
        f"a {status}": (
            Reply(
                status,
                b"",
                (("Location", "https://elsewhere.example/"),),
            ),
            status,
            "redirect",
        )
        for status in (300, 301, 302, 303, 304, 307, 308)
    },
    "a 302 with JSON": (json_reply(302, {"success": True}, ("Location", "/x")), 302, "redirect"),
    "a 302 to nowhere": (Reply(302), 302, "redirect"),
}


UNCLEAR = {
    "plain text": Reply(200, b"OK", (("Content-Type", "text/plain"),)),
    "a list": json_reply(200, ["ok"]),
    "an empty list": json_reply(200, []),
    "null": json_reply(200, None),
    "a word": json_reply(201, "ok"),
    "a number": json_reply(202, 1),
    "yes": json_reply(200, True),
    "bytes": Reply(200, b"\x00\x01"),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_neither_a_page_nor_an_object(server: FaultServer, client: CMSClient, clock: Any, name: str) -> None:
    """A 2xx that is no JSON object is unclear: a sale is sent again, a lead is not."""
    server.default = UNCLEAR[name]
    for event, times in ((LeadEvent(**LEAD), 1), (SaleEvent(**SALE), 3)):
        outcome = client.send(event)
        assert (outcome.status, outcome.type, outcome.may_have_arrived) == (Status.NOT_API, "not_api", True)
        assert outcome.attempts == times
        assert "not a JSON object" in outcome.message
        assert all(host in outcome.message for host in DOCUMENTED_HOSTS)
    assert len(server.requests) == 4


def test_own_duplicate_after_an_unclear_answer(server: FaultServer, client: CMSClient, clock: Any) -> None:
    """A sale answered 409 after an unclear answer was recorded by the first attempt."""
    server.script(Reply(200, b"OK"), error(409))
    answer = track(client, "sale")
    assert (answer["success"], answer["data"]) == (True, {"duplicate": True})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    "more", [{}, {"eventName": "p", "customer": None}, {"success": None}, {"message": "ok", "data": {"id": 1}}]
)
def test_nothing_was_recorded(
    server: FaultServer, client: CMSClient, kind: str, status: int, more: dict[str, Any]
) -> None:
    """A 2xx with null for the event means that it was dropped; it is not sent again."""
    server.default = json_reply(status, {**more, kind: None})
    answer = track(client, kind)
    assert (answer["success"], answer["type"], answer["status_code"]) == (False, "not_recorded", status)
    assert f'"{kind}": null' in answer["error"]
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_something_was_recorded(server: FaultServer, client: CMSClient, kind: str) -> None:
    """Null for another key, or beside ``success: true``, does not mean that the event was dropped."""
    other = "sale" if kind == "lead" else "lead"
    server.script(
        json_reply(200, {other: None}),
        json_reply(200, {kind: None, "success": True}),
        json_reply(200, {kind: {"id": "evt_1"}, "customer": None}),
        json_reply(200, {kind: {}}),
    )
    for _ in range(4):
        assert track(client, kind)["success"] is True


EMPTY = {
    "a head without a length": Reply(200, framed=False),
    "and a type": Reply(200, b"", (("Content-Type", "application/json"),), framed=False),
    "blanks": Reply(200, b"\r\n", framed=False),
    "201": Reply(201, framed=False),
    "a head that was cut off": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Type: application/js"),
    "a head cut off amid the length": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: "),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_without_a_length(server: FaultServer, make_client: Callable[..., CMSClient], name: str) -> None:
    """An empty 2xx that does not announce its length may be cut off and is not a success."""
    server.script(EMPTY[name])
    answer = track(make_client(retries=0), "lead")
    assert (answer["success"], answer["status_code"], answer["type"]) == (False, None, "connection_lost")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STRANGERS)
def test_not_the_api(server: FaultServer, client: CMSClient, kind: str, name: str) -> None:
    """An answer that is not the API's names the host, what it returned and the documented hosts."""
    reply, status, what = STRANGERS[name]
    server.script(reply)
    answer = track(client, kind)
    assert answer["success"] is False
    assert answer["status_code"] == status
    assert answer["type"] == ("redirect" if what == "redirect" else "not_api")
    text = str(answer["error"])
    assert server.url in text
    assert what in text
    assert all(host in text for host in DOCUMENTED_HOSTS)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(server: FaultServer, client: CMSClient, status: int) -> None:
    """A redirect is not followed, neither to another host nor on the same one."""
    with FaultServer() as elsewhere:
        server.script(Reply(status, b"", (("Location", elsewhere.url + "/track/sale"),)))
        server.script(Reply(status, b"", (("Location", "/elsewhere"),)))
        assert track(client, "sale")["success"] is False
        assert track(client, "sale")["success"] is False
        assert [request.path for request in server.requests] == ["/track/sale", "/track/sale"]
        assert not elsewhere.connections


@pytest.mark.parametrize("kind", KINDS)
def test_request(server: FaultServer, client: CMSClient, kind: str) -> None:
    """A request is a POST of JSON with the bearer token, without absent fields."""
    track(client, kind)
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", f"/track/{kind}")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers.get_all("Authorization") == [f"Bearer {TOKEN}"]
    expected = {"clickId": "id_123", "customerExternalId": "user_42"}
    if kind == "lead":
        assert request.json == {**expected, "eventName": "signup_started"}
    else:
        sale = {"eventName": "purchase_completed", "invoiceId": "inv_987", "amount": 4999, "currency": "USD"}
        assert request.json == {**expected, **sale}


def test_path_of_the_host_is_kept(server: FaultServer, make_client: Callable[..., CMSClient]) -> None:
    """A host's path is kept, with or without a trailing slash."""
    for host in (server.url, server.url + "/", server.url + "/api/v1", server.url + "/api/v1//"):
        assert track(make_client(host), "lead")["success"] is True
    assert [request.target for request in server.requests] == [
        "/track/lead",
        "/track/lead",
        "/api/v1/track/lead",
        "/api/v1/track/lead",
    ]


def test_deferred_flow(server: FaultServer, client: CMSClient) -> None:
    """The first lead of a deferred flow has click and mode, later ones have neither."""
    track(client, "lead", mode="deferred")
    track(client, "lead", click_id=None)
    first, later = (request.json for request in server.requests)
    assert (first["clickId"], first["mode"]) == ("id_123", "deferred")
    assert set(later) == {"eventName", "customerExternalId"}


def test_huge_answer(server: FaultServer, make_client: Callable[..., CMSClient]) -> None:
    """A huge answer is not read to its end and is an error."""
    client = make_client(retries=0)
    server.script(json_reply(200, {"success": True, "data": {"a": "x" * 3_000_000}}))
    assert track(client, "sale")["success"] is False
    assert track(client, "sale")["success"] is True, "the next event is not hurt"


def test_huge_page_compressed(server: FaultServer, make_client: Callable[..., CMSClient]) -> None:
    """A small answer that decompresses to a huge one is not decompressed completely and is an error."""
    bomb = gzip.compress(b'{"success":true,"data":{"a":"' + b"x" * 50_000_000 + b'"}}')
    server.script(
        Reply(200, bomb, (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))),
    )
    assert track(make_client(retries=0), "sale")["success"] is False


def test_answer_that_is_not_gzip(server: FaultServer, make_client: Callable[..., CMSClient]) -> None:
    """An answer falsely declared as gzip is an error dict, not an exception."""
    server.script(Reply(200, b'{"success":true}', (("Content-Encoding", "gzip"),)))
    answer = track(make_client(retries=0), "sale")
    assert (answer["success"], answer.get("status_code")) == (False, None)
