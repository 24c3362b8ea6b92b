"""Sends staged rows: decides which rows may be sent and when, and what their answers mean."""
