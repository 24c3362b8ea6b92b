"""The schema of presets and mapping files, and the parser that checks it.

``docs/files.md`` shows every key, under "A mapping file".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cms_cli.nearest import suggestion
from cms_cli.replay.mapping.columns import Expression, field_named
from cms_cli.replay.mapping.rule import FieldRule, FoldRule, RefundRule, Rules, SkipRule
from cms_cli.replay.model import InputError, Problem
from cms_cli.replay.values.date_formats import check_date_format
from cms_cli.replay.values.zones import zone_named
from cms_python import LEAD_FIELDS, LEAD_REQUIRED, SALE_FIELDS, SALE_REQUIRED

SETTINGS = ("amount_unit", "decimal", "timezone", "date_format", "encoding", "delimiter")
"""The keys with text that have the same effect as the flag of the same name."""

LINES = ("header_line", "footer_lines")
"""The keys with numbers that have the same effect as the flag of the same name."""

_FIELDS = {**LEAD_FIELDS, **SALE_FIELDS}
_ONLY = {"event": ("sale", "lead"), "amount_unit": ("minor", "major"), "decimal": (".", ",")}
_WORDS = ("event", *(key for key in SETTINGS if key != "date_format"), "title", "about")
_SECTIONS = ("map", "defaults", "defaults_with", "nothing", "skip", "fold", "refunds", "lacking")
KEYS = (
    *_WORDS,
    "date_format",
    *LINES,
    "zero_decimals",
    "skip_unattributed",
    "local_times",
    "where",
    "known_by",
    *_SECTIONS,
)
"""The keys and sections of a mapping file or preset."""


class Wrong(NamedTuple):
    """A mistake in a mapping file.

    Attributes:
        section: The name of its section; "" for the top level.
        key: Its key.
        message: The mistake, for people.
        nth: Which of several sections of this name, counted from 1.
    """

    section: str
    key: str
    message: str
    nth: int = 1


class RulesError(Exception):
    """A mapping file cannot be used.

    Attributes:
        wrong: All mistakes.
    """

    def __init__(self, wrong: Sequence[Wrong]) -> None:
        super().__init__("; ".join(each.message for each in wrong))
        self.wrong = wrong


def to_json(table: Mapping[str, Any]) -> str:
    """Return the rules that shape events as JSON, which is equal if and only if the rules are."""
    shaping = {key: value for key, value in table.items() if key not in ("title", "about", "known_by")}
    return json.dumps(shaping, sort_keys=True)


def from_json(text: str) -> Rules:
    """Return the rules that :func:`to_json` wrote; "" is no rules.

    Raises:
        InputError: The rules cannot be used on this machine, which may lack a time zone.
    """
    try:
        return read(json.loads(text)) if text else Rules()
    except RulesError as error:
        raise InputError(str(error)) from None


def read(table: Mapping[str, Any]) -> Rules:
    """Check a table of the schema.

    Raises:
        RulesError: The table has mistakes; the error has all of them.
    """
    reader = _Reader()
    rules = reader.rules(table)
    if reader.wrong:
        raise RulesError(reader.wrong)
    return rules


class _Reader:
    """Reads a table and collects its mistakes."""

    def __init__(self) -> None:
        self.wrong: list[Wrong] = []
        self._nth = 1  # which of the sections that have the same name is being read

    def rules(self, table: Mapping[str, Any]) -> Rules:
        self._known(table, KEYS, "")
        for section in _SECTIONS:
            if section != "skip" and not isinstance(table.get(section, {}), dict):
                self._say("", section, f"{section} must be a table, [{section}]")
                table = {key: value for key, value in table.items() if key != section}
        word = {key: self._word(table, "", key) for key in _WORDS}
        for key, allowed in _ONLY.items():
            if word[key] and word[key] not in allowed:
                self._say("", key, f"{key} must be {' or '.join(allowed)}")
        dates = self._words(table, "", "date_format")
        self._check_times(word["timezone"], dates)
        said: dict[str, Any] = {**word, "date_format": dates, **{key: self._number(table, key) for key in LINES}}
        return Rules(
            event=word["event"],
            settings=tuple((key, said[key]) for key in (*SETTINGS, *LINES) if said[key]),
            zero_decimals=self._flag(table, "", "zero_decimals"),
            skip_unattributed=self._flag(table, "", "skip_unattributed"),
            where=self._words(table, "", "where"),
            fields=tuple(
                (name, self._field(key, value, needed=name in _needed(word["event"])))
                for name, key, value in self._fields(table, "map")
            ),
            defaults=self._texts(table, "defaults"),
            defaults_with=tuple(
                (column, self._texts(table["defaults_with"], column, f"defaults_with.{column}"))
                for column in table.get("defaults_with", {})
            ),
            nothing=tuple(
                (name, self._words(table["nothing"], "nothing", key))
                for name, key, _ in self._fields(table, "nothing")
            ),
            skip=tuple(self._skips(table.get("skip", []))),
            fold=self._fold(table.get("fold")),
            refunds=self._refunds(table.get("refunds")),
            lacking=self._texts(table, "lacking"),
            local_times=self._flag(table, "", "local_times"),
            title=word["title"],
            about=word["about"],
            known_by=self._known_by(table.get("known_by", [])),
        )

    def _check_times(self, zone: str, date_formats: Sequence[str]) -> None:
        if zone and isinstance(found := zone_named(zone), Problem):
            self._say("", "timezone", f"timezone {found.message}; {found.hint}")
        if problem := check_date_format(date_formats):
            self._say("", "date_format", f"date_format {problem.message}; {problem.hint}")

    def _fields(self, table: Mapping[str, Any], section: str, path: str = "") -> Iterator[tuple[str, str, Any]]:
        """Yield the entries of a section: the field's Python name, the key as it was written, and the value."""
        path = path or section
        seen: set[str] = set()
        for key, value in table.get(section, {}).items():
            try:
                name = field_named(_FIELDS, key, "an event")
            except InputError as error:
                self._say(path, key, f"{path}.{key}: {error.message}. {error.hint}")
                continue
            if name in seen:
                self._say(path, key, f"{path}.{key}: {name} is there twice")
            seen.add(name)
            yield name, key, value

    def _field(self, key: str, value: object, *, needed: bool) -> FieldRule:
        if isinstance(value, str) and value.strip():
            return FieldRule((value,), strict=True)
        found = [self._expression(each) for each in value] if isinstance(value, list) else [self._expression(value)]
        expressions = tuple(each for each in found if each is not None)
        if (not expressions and (needed or value != [])) or len(expressions) != len(found):
            self._say("map", key, f'map.{key} must be a column, a list of columns, or {{ join = ["A", "B"] }}')
        return FieldRule(expressions, strict=not isinstance(value, list))

    @staticmethod
    def _expression(value: object) -> Expression | None:
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, dict) and set(value) == {"join"} and isinstance(value["join"], list):
            parts = value["join"]
            if len(parts) > 1 and all(isinstance(part, str) and part.strip() for part in parts):
                return tuple(parts)
        return None

    def _skips(self, rules: object) -> Iterator[SkipRule]:
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            self._say("", "skip", "skip must be tables, each [[skip]]")
            return
        for number, rule in enumerate(rules, 1):
            self._nth = number
            self._known(rule, ("column", "is", "is_not", "reason", "optional"), "skip")
            if ("is" in rule) == ("is_not" in rule):
                self._say("skip", "", "skip needs either is or is_not")
            test = "is" if "is" in rule else "is_not"
            yield SkipRule(
                self._words(rule, "skip", "column", needed=True),
                tuple(value.strip().casefold() for value in self._words(rule, "skip", test)),
                test == "is_not",
                self._word(rule, "skip", "reason", needed=True),
                self._flag(rule, "skip", "optional"),
            )
        self._nth = 1

    def _fold(self, rule: Mapping[str, Any] | None) -> FoldRule | None:
        if rule is None:
            return None
        self._known(rule, ("by", "empty", "reason"), "fold")
        by = self._word(rule, "fold", "by", needed=True)
        empty = self._words(rule, "fold", "empty", needed=True)
        return FoldRule(by, empty, self._word(rule, "fold", "reason", needed=True))

    def _refunds(self, rule: Mapping[str, Any] | None) -> RefundRule | None:
        if rule is None:
            return None
        self._known(rule, ("column", "each", "in_full"), "refunds")
        columns = self._words(rule, "refunds", "column", needed=True)
        return RefundRule(columns, self._word(rule, "refunds", "each"), self._word(rule, "refunds", "in_full"))

    def _known_by(self, headers: object) -> tuple[tuple[str, ...], ...]:
        lists = [each for each in headers if isinstance(each, list)] if isinstance(headers, list) else []
        if lists != headers or not all(isinstance(name, str) for header in lists for name in header):
            self._say("", "known_by", "known_by must be lists of columns")
            return ()
        return tuple(map(tuple, lists))

    def _texts(self, table: Mapping[str, Any], section: str, path: str = "") -> tuple[tuple[str, str], ...]:
        found = []
        inner = table.get(section, {})
        if not isinstance(inner, dict):
            self._say(path, "", f"{path} must be a table")
            return ()
        for name, key, value in self._fields(table, section, path):
            if isinstance(value, str) and value.strip():
                found.append((name, value.strip()))
            else:
                self._say(path or section, key, f"{path or section}.{key} must be text that is not empty")
        return tuple(found)

    def _word(self, table: Mapping[str, Any], section: str, key: str, *, needed: bool = False) -> str:
        value = table.get(key, "")
        if isinstance(value, str) and (value.strip() or key not in table) and (value or not needed):
            return value
        self._say(section, key, f"{_path(section, key)} must be text that is not empty")
        return ""

    def _words(self, table: Mapping[str, Any], section: str, key: str, *, needed: bool = False) -> tuple[str, ...]:
        value = table.get(key, [])
        words = [value] if isinstance(value, str) else value
        if isinstance(words, list) and all(isinstance(word, str) for word in words) and (words or not needed):
            return tuple(words)
        self._say(section, key, f"{_path(section, key)} must be text, or a list of texts")
        return ()

    def _flag(self, table: Mapping[str, Any], section: str, key: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            self._say(section, key, f"{_path(section, key)} must be true or false")
        return value is True

    def _number(self, table: Mapping[str, Any], key: str) -> int:
        value = table.get(key, 0)
        if type(value) is int and value >= 0:
            return value
        self._say("", key, f"{key} must be a number of lines")
        return 0

    def _known(self, table: Mapping[str, Any], known: Sequence[str], section: str) -> None:
        for key in table:
            if key not in known:
                meant = suggestion(str(key), known, f"; there are {', '.join(known)}")
                self._say(section, str(key), f"unknown key {_path(section, str(key))}{meant}")

    def _say(self, section: str, key: str, message: str) -> None:
        self.wrong.append(Wrong(section, key, message, self._nth))


def _needed(event: str) -> tuple[str, ...]:
    """Return the required fields of a kind of event, which a mapping cannot leave out."""
    return LEAD_REQUIRED if event == "lead" else SALE_REQUIRED


def _path(section: str, key: str) -> str:
    return f"{section}.{key}" if section else key
