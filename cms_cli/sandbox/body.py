"""Reads a request's body from the connection, and parses its JSON object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http.client import HTTPException, parse_headers
from typing import Any, BinaryIO, NoReturn

from cms_cli.sandbox.answers import Answer, error

BODY_LIMIT = 64 * 1024
_CHUNK_LINE_LIMIT = 256
_CHARSETS = ("utf-8", "utf8")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]*)?\r?\n")


class RequestError(Exception):
    """Raised for a request that cannot be read; it is answered with ``status``, and the connection is closed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_body(headers: Mapping[str, str], stream: BinaryIO) -> bytes:
    """Read the bytes of a body, chunked or not.

    Raises:
        RequestError: The body is too long (413), ends early or has a malformed length (400), or has a transfer
            coding other than chunked (501).
    """
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise RequestError(400, "Transfer-Encoding and Content-Length exclude each other")
        if coding.lower() != "chunked":
            raise RequestError(501, "The only transfer coding accepted is chunked")
        return _read_chunks(stream)
    if length is None:
        return b""
    if not _LENGTH.fullmatch(length):
        raise RequestError(400, "Content-Length is not a number")
    return _read_exactly(stream, int(length), 0)


def _read_chunks(stream: BinaryIO) -> bytes:
    body = b""
    while True:
        match = _CHUNK.fullmatch(stream.readline(_CHUNK_LINE_LIMIT))
        if match is None:
            raise RequestError(400, "A chunk has no size")
        size = int(match[1], 16)
        if size == 0:
            break
        body += _read_exactly(stream, size, len(body))
        if stream.readline(3).strip(b"\r\n"):
            raise RequestError(400, "A chunk is longer than its size")
    try:
        parse_headers(stream)
    except HTTPException as problem:
        raise RequestError(431, "Too many trailers") from problem
    return body


def _read_exactly(stream: BinaryIO, size: int, before: int) -> bytes:
    if before + size > BODY_LIMIT:
        raise RequestError(413, f"The body is longer than {BODY_LIMIT} bytes")
    data = stream.read(size)
    if len(data) < size:
        raise RequestError(400, "The request ended early")
    return data


def read_object(headers: Mapping[str, str], body: bytes) -> dict[str, Any] | Answer:
    """Return the JSON object of a request, or the answer 415 (wrong content type) or 400 (not a JSON object).

    It is stricter than Python's ``json``: repeated names, ``NaN`` and a byte order mark are errors. RFC 8259 has no
    ``NaN``, does not allow senders the mark, and does not define the meaning of repeated names.
    """
    refusal = _refuse_media_type(headers)
    if refusal is not None:
        return refusal
    if not body:
        return _bad_json("the body is empty")
    try:
        value = _from_json(body.decode("utf-8"))
    except UnicodeDecodeError:
        return _bad_json("it is not UTF-8")
    except RecursionError:
        return _bad_json("it is nested too deeply")
    except ValueError as problem:
        return _bad_json(str(problem))
    if not isinstance(value, dict):
        return _bad_json("it is not an object")
    return value


def _refuse_media_type(headers: Mapping[str, str]) -> Answer | None:
    media_type, *parameters = headers.get("content-type", "").lower().split(";")
    if media_type.strip() != "application/json":
        return error(415, "The content type must be application/json")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in _CHARSETS:
            return error(415, "JSON is UTF-8: no other charset is accepted")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return error(415, "No content encoding is accepted")
    return None


def _bad_json(why: str) -> Answer:
    return error(400, "The body is not a valid JSON object", {"body": why})


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_from_json = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant).decode
