"""Parses the text of cells to exact values: amounts, times and ids, and single values within a cell."""
