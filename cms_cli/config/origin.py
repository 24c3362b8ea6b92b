"""The origin of a setting: a flag, a variable, the config file or the default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class OriginKind(str, Enum):
    """The kinds of origins, in order of precedence."""

    FLAG = "flag"
    ENV = "env"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True)
class Origin:
    """The origin of a value.

    Attributes:
        kind: Its kind.
        name: The flag (``--host``), the variable (``CMS_HOST``) or the key in the config file
            (``profiles.shop.host``); "" for a default.
        path: The config file's path, if the value comes from there, else "".
    """

    kind: OriginKind
    name: str = ""
    path: str = ""

    def __str__(self) -> str:
        if self.kind is OriginKind.FILE:
            return f"{self.name} in {self.path}"
        return self.name or self.kind.value

    def to_dict(self) -> dict[str, str]:
        """Return ``kind``, and ``name`` and ``path`` if they are not empty, for JSON."""
        known = {"kind": self.kind.value, "name": self.name, "path": self.path}
        return {key: value for key, value in known.items() if value}


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A value and its origin."""

    value: T
    origin: Origin
