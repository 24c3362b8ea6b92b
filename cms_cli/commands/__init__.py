"""The commands, one module each: they parse flags, call the code that does the work, and render the result."""
