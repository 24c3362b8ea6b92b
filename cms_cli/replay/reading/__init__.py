"""A file's bytes to rows of text: encoding, delimiter and quotes."""
