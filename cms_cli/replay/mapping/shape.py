"""The flags that shape the events of a file; they are part of the identity of a run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from cms_cli.replay.mapping.rule import Rules


@dataclass(frozen=True)
class Shape:
    """The options that decide which events a file's bytes become, part of a run's identity as written.

    Attributes:
        format: The format of the input: ``csv`` or ``jsonl``.
        preset: The name of a known export, or "".
        rules: What the preset or mapping file says, as :func:`~cms_cli.replay.mapping.rules.to_json` has it, or "".
        mapping: Pairs of a field's Python name and the column expression it is read from.
        constants: Pairs of a field's Python name and the text used where a row has none.
        where: ``COLUMN=VALUE`` and ``COLUMN!=VALUE`` conditions, as written.
        skip_unattributed: Whether rows without a click id are left out rather than wrong.
        amount_unit: ``minor``, ``major``, or "" if nothing says.
        decimal: The decimal mark of amounts, ``.`` or ``,``, or "" to find it.
        timezone: The IANA zone of times without one, or "" for UTC.
        date_format: The strptime formats of dates that have to be told, in the order in which they are tried.
        encoding: The file's encoding, or "" to find it.
        delimiter: The file's delimiter, or "" to find it.
        header_line: The line that the header is on, or 0 for the first that holds anything.
        footer_lines: The number of lines at the end that are no rows.
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
        """Return the shape with the settings of a preset or mapping file filled in where no flag gives one.

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
        """Return the shape as text that is equal exactly when the shapes are."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Shape:
        """Read what :meth:`to_json` wrote."""
        values = json.loads(text)
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in values.items() if name in known}
        for name in ("mapping", "constants"):
            values[name] = tuple((field, value) for field, value in values.get(name, ()))
        values["where"] = tuple(values.get("where", ()))
        values["date_format"] = tuple(values.get("date_format", ()))
        return cls(**values)
