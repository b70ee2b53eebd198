"""How fast the package is, beside what else could do the same work: `python -m benchmarks`, see README.md here."""
