"""Finds the time zone for times without an offset."""

from __future__ import annotations

import re
from datetime import timezone, tzinfo

from cms_cli.nearest import nearest
from cms_cli.replay.model import Problem
from cms_cli.replay.problems import shown

_UTC_HEADER = re.compile(r"\( *utc(?: +time)?(?: *zone)? *\)", re.IGNORECASE)
# Other zones that a header may name. They are ignored, since CST means several zones, and offsets change in summer.
_OTHER_ZONE = re.compile(
    r"[(\[] *(?:(?:utc|gmt)? *[+\-\u2212] *[0-9]{1,2}(?::?[0-9]{2})?"
    r"|[aecmp][sd]t|[cew]es?t|bst|msk|ist|jst|kst|hkt|sgt|ae[sd]t|nz[sd]t|local(?: time)?) *[)\]]",
    re.IGNORECASE,
)
_OFFSET = re.compile(r"(?:utc|gmt)? *([+\-\u2212]) *([0-9]{1,2})(?::?00)?", re.IGNORECASE)


def zone_named(name: str) -> tzinfo | Problem:
    """Return the zone with an IANA name (``Europe/Berlin``), or the problem of the name."""
    # Imported late, since most commands read no time that needs a zone.
    import zoneinfo

    name = name.strip()
    if name.upper() in ("UTC", "Z"):
        return timezone.utc
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # OSError is raised for a folder of the database, such as "America".
        return _unknown_zone(name, sorted(zoneinfo.available_timezones()))


def zone_for_header(header: str, default: tzinfo) -> tzinfo:
    """Return UTC if the column's header says ``(UTC)`` or ``(UTC timezone)``, else the default."""
    return timezone.utc if _UTC_HEADER.search(header) else default


def names_other_zone(header: str) -> bool:
    """Return True if a column's header seems to name a zone other than UTC, such as ``(CET)`` or ``(UTC+2)``."""
    return bool(_OTHER_ZONE.search(header))


def _unknown_zone(name: str, known: list[str]) -> Problem:
    if not known:
        return Problem(
            "zone_database_missing",
            f"{shown(name)} cannot be looked up: this machine has no time zone database",
            "pip install tzdata",
        )
    offset = _OFFSET.fullmatch(name)
    if offset:
        # The database's names have the opposite sign: Etc/GMT-1 is an hour ahead of UTC.
        turned = f"Etc/GMT{'+' if offset[1] != '+' else '-'}{int(offset[2])}"
        fixed = f"; {turned} is always {offset[1]}{int(offset[2])} from UTC" if turned in known else ""
        return Problem(
            "zone_unknown",
            f"{shown(name)} is an offset, and no time zone",
            f"use a name such as Europe/Berlin, which knows when the clocks change{fixed}",
        )
    # Suggest places only; abbreviations such as EST resemble unrelated ones.
    near = nearest(name, [each for each in known if "/" in each and not each.startswith("Etc/")])
    return Problem(
        "zone_unknown",
        f"{shown(name)} is no time zone",
        f"did you mean {' or '.join(near)}?" if near else "use a name such as Europe/Berlin or America/New_York",
    )
