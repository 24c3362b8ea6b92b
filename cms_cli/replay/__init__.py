"""A replay: sends each event of a file once. Uses neither typer nor rich, and prints nothing.

It is a pipeline with a package for each stage::

    bytes -> reading -> SourceRow -> mapping (with values) -> PlannedEvent | RowProblem | SkippedRow
          -> staging -> journal <-> sending -> ReplayReport

``model`` has the values that the stages exchange, and ``run`` connects the stages: ``intake`` opens an input,
``plan`` finds its run or stages it and previews what will be sent, ``report`` has the result, and ``rowfiles``
writes the files of ``--failures`` and ``--results``. A dry run ends with the plan. No stage imports a later one,
directly or indirectly; a test checks this.
"""
