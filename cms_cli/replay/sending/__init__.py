"""Staged rows to outcomes: which may leave, and when, and what an answer means."""
