"""A replay: a file of events, delivered once each. Knows no typer, no rich and no print.

A pipeline, and a package for each of its stages::

    bytes -> reading -> SourceRow -> mapping (with values) -> PlannedEvent -> storage <-> sending -> ReplayReport

What the stages hand to each other is in ``model``, and ``run`` wires them. ``staging`` takes rows into the journal,
``plan`` looks at them first, and ``duplicates`` finds those that repeat others. No stage knows one that comes after
it; a test holds that.
"""
