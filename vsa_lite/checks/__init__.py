"""Self-checks for the chapters: your function against the package's, with a hint where the two differ."""
