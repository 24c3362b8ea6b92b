"""A file's bytes to rows of text: what encoding, what separates cells, where a quoted cell ends."""
