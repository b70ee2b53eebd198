"""Self-checks for the chapters: your function against the package's, with a hint where the two differ."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable


def self_check(check: Callable[[Callable], None]) -> Callable[[Callable], None]:
    """A check that hands out copies, so that nobody's function harms it, and bears one that is still to be written."""

    @functools.wraps(check)
    def tried(yours: Callable) -> None:
        try:
            check(lambda *given: yours(*copy.deepcopy(given)))
        except NotImplementedError:
            print(f"{check.__name__}: still to be written")

    return tried
