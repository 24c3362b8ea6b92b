"""Why a text is no value: what readers of cells give in place of one."""

from __future__ import annotations

from cms_cli.replay.model import Problem as ValueProblem

__all__ = ["ValueProblem"]
