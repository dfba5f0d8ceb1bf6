"""One page per file: read, chart, explain."""
