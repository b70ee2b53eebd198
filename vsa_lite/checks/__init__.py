"""Self-checks for the chapters: your function against the package's, with a hint where the two differ."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch


def self_check(check: Callable[[Callable], None]) -> Callable[[Callable], None]:
    """A check that hands out copies, so that nobody's function harms it, and bears one that is still to be written."""

    @functools.wraps(check)
    def tried(yours: Callable) -> None:
        try:
            check(lambda *given: yours(*map(_copy, given)))
        except NotImplementedError:
            print(f"{check.__name__}: still to be written")

    return tried


def _copy(part: object) -> object:
    tracked = isinstance(part, torch.Tensor) and part.requires_grad  # a copy would not be: its gradient is asked for
    return part if tracked else copy.deepcopy(part)
