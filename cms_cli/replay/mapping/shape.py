"""The options that determine which events the rows of a file become. They are part of the identity of a run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from cms_cli.replay.mapping.rule import Rules


@dataclass(frozen=True)
class Shape:
    """The options that determine which events the rows of a file become, as they were written.

    Attributes:
        format: The format of the input: ``csv`` or ``jsonl``.
        preset: The name of the preset, or "".
        rules: The preset or mapping file, as :func:`~cms_cli.replay.mapping.rules.to_json` writes it, or "".
        mapping: Pairs of a field's Python name and its column expression; "" leaves the field out.
        constants: Pairs of a field's Python name and the value for rows without one.
        where: The conditions for rows to keep.
        skip_unattributed: Whether rows without a click id are left out; otherwise they are problems.
        amount_unit: ``minor``, ``major``, or "" if it was not given.
        decimal: The decimal mark of amounts, ``.`` or ``,``; "" to detect it.
        timezone: The IANA name of the time zone for times without an offset; "" for UTC.
        date_format: The strptime formats of dates, in the order in which they are tried.
        encoding: The file's encoding; "" to detect it.
        delimiter: The file's delimiter; "" to detect it.
        header_line: The line of the header, from 1; 0 for the first line that is not blank.
        footer_lines: The number of lines at the end that are not rows.
    """

    format: str = "csv"
    preset: str = ""
    rules: str = ""
    mapping: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    where: tuple[str, ...] = ()
    skip_unattributed: bool = False
    amount_unit: str = ""
    decimal: str = ""
    timezone: str = ""
    date_format: tuple[str, ...] = ()
    encoding: str = ""
    delimiter: str = ""
    header_line: int = 0
    footer_lines: int = 0

    def under(self, rules: Rules, content: str) -> Shape:
        """Return the shape with the settings of a preset or mapping file, except those that a flag overrides.

        Args:
            rules: The preset or mapping file.
            content: The part of it that shapes events, as JSON.
        """
        settings: dict[str, Any] = {key: value for key, value in rules.settings if not getattr(self, key)}
        return replace(
            self,
            rules=content,
            where=(*rules.where, *self.where),
            skip_unattributed=self.skip_unattributed or rules.skip_unattributed,
            **settings,
        )

    def to_json(self) -> str:
        """Return the shape as JSON, which is equal if and only if the shapes are."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Shape:
        """Return the shape that :meth:`to_json` wrote, in this or an earlier version."""
        values = json.loads(text)
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in values.items() if name in known}
        for name in ("mapping", "constants"):
            values[name] = tuple((field, value) for field, value in values.get(name, ()))
        values["where"] = tuple(values.get("where", ()))
        values["date_format"] = tuple(values.get("date_format", ()))
        return cls(**values)
