"""A replay: a file of events, delivered once each. Knows no typer, no rich and no print.

A pipeline, and a package for each of its stages::

    bytes -> reading -> SourceRow -> mapping (with values) -> PlannedEvent -> storage <-> sending -> ReplayReport

What the stages hand to each other is in ``model``, and ``run`` wires them: ``plan`` gets a file ready and puts its
preview together, ``staging`` takes every row into the journal, ``duplicates`` finds those that repeat others,
``rowfiles`` and ``exports`` write the files that were asked for, and ``report`` says how it went. No stage knows a
later one, not even by way of a third module; a test holds that.
"""
