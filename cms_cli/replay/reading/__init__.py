"""Reads a file's bytes as rows of text: encoding, delimiter, quotes, JSON."""
