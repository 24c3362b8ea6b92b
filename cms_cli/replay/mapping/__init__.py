"""Rows of text to events: which column is which field, what is left out, and what is wrong."""
