"""Why a text is no value: what readers of cells give in place of one."""

from __future__ import annotations

from typing import NamedTuple


class ValueProblem(NamedTuple):
    """Why a text is no amount, no time or no zone.

    Attributes:
        code: A short constant for programs: ``amount_not_a_number``.
        message: For people; reads on from the name of a field, as in ``amount`` + ``"n/a" is not a number``.
        hint: The way out, in one line; empty where there is nothing to say.
    """

    code: str
    message: str
    hint: str = ""
