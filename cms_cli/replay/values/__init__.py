"""The text of a cell to a value, exactly: amounts, times, and what else a cell can hold."""
