"""A local stand-in for the CutMeShort API, which is strict, and injects faults on request.

It shares no code with the SDK or the replay, since it checks both. It is written from the API's contract, with only
the standard library.
"""

from __future__ import annotations

from cms_cli.sandbox.answers import SUCCESS_SHAPES
from cms_cli.sandbox.errors import OptionError, SandboxError, StoreError
from cms_cli.sandbox.fault_plan import FaultPlan, Poison, Step, load_scenario
from cms_cli.sandbox.faults import KINDS, Fault, parse_faults
from cms_cli.sandbox.rate_limit import Rate
from cms_cli.sandbox.report import ClickReport, Report, Revenue, Total, open_report
from cms_cli.sandbox.server import SandboxServer
from cms_cli.sandbox.store_file import reset
from cms_cli.sandbox.store_reader import Attempt, EventFilter, SandboxEvent, read_attempts, read_events

__all__ = [
    "KINDS",
    "SUCCESS_SHAPES",
    "Attempt",
    "ClickReport",
    "EventFilter",
    "Fault",
    "FaultPlan",
    "OptionError",
    "Poison",
    "Rate",
    "Report",
    "Revenue",
    "SandboxError",
    "SandboxEvent",
    "SandboxServer",
    "Step",
    "StoreError",
    "Total",
    "load_scenario",
    "open_report",
    "parse_faults",
    "read_attempts",
    "read_events",
    "reset",
]
