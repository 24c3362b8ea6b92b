"""A replay: a file of events, delivered once each. Knows no typer, no rich and no print.

A pipeline, and a package for each of its stages::

    bytes -> reading -> SourceRow -> mapping (with values) -> PlannedEvent | RowProblem | SkippedRow
          -> staging -> journal <-> sending -> ReplayReport

``model`` has the values that the stages hand to each other, and ``run`` wires them: ``intake`` opens an input,
``plan`` finds its run or stages it and previews what will be sent, ``report`` tells how it went, and ``rowfiles``
writes the files that were asked for. A dry run ends with the plan. No stage knows a later one, not even by way of a
third module; a test holds that.
"""
