"""A request's body to the JSON object in it, or to the answer that says why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from cms_cli.sandbox.answers import Answer, error

_CHARSETS = ("utf-8", "utf8")


def read_object(headers: Mapping[str, str], body: bytes) -> dict[str, Any] | Answer:
    """The JSON object of a request, or 415 (not JSON by its headers) or 400 (not JSON by its bytes).

    Stricter than Python's ``json``: a name given twice, ``NaN`` and a byte order mark are errors (RFC 8259 has no
    ``NaN``, forbids a sender the mark, and leaves the meaning of a name given twice to chance).

    Args:
        headers: By lower-case name.
        body: As it came, without transfer coding.
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
