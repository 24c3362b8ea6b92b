"""Staged rows to outcomes: which rows may be sent, when, and how their answers are read."""
