"""How fast the package is, beside what else could do the same work: `python -m benchmarks` (see benchmarks/README.md)."""
