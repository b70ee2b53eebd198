"""Deep visual-semantic alignments, small and whole.

The rooms, in the order the data walks through them: `data`, `words`, `regions`, `alignment`, `captioning`,
`evaluation`; then `training`, `figures`, `viewer`, `checks` and `cli`, which may use any of them.
"""

__version__ = "0.1.0"
