"""Maps rows of text to events: finds the column of each field, leaves rows out, and checks values."""
