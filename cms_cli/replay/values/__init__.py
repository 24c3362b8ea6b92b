"""The text of a cell to an exact value: amounts, times, and one value out of several."""
