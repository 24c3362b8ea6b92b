"""A replay: a file of events, delivered once each. Knows no typer, no rich and no print."""
