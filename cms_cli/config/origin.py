"""The origins of settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class OriginKind(str, Enum):
    """The kinds of places, the strongest first."""

    FLAG = "flag"
    ENV = "env"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True)
class Origin:
    """The origin of a value.

    Attributes:
        kind: The kind of place.
        name: The flag (``--host``), the variable (``CMS_HOST``) or the key in the config file
            (``profiles.shop.host``); empty for a default.
        path: The config file's path, where it came from there.
    """

    kind: OriginKind
    name: str = ""
    path: str = ""

    def __str__(self) -> str:
        if self.kind is OriginKind.FILE:
            return f"{self.name} in {self.path}"
        return self.name or self.kind.value

    def to_dict(self) -> dict[str, str]:
        """For JSON: ``kind``, with ``name`` and ``path`` where there are any."""
        known = {"kind": self.kind.value, "name": self.name, "path": self.path}
        return {key: value for key, value in known.items() if value}


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A value and where it came from."""

    value: T
    origin: Origin
