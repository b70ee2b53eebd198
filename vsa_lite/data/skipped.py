"""What is left out of a data set is counted and named: one bad picture never stops thousands, and never goes unseen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from vsa_lite.data.images import PictureError
from vsa_lite.data.records import Record


def report_skipped(what: str, names: Sequence[str], shown: int = 3) -> None:
    """Warn once that things were left out: what, how many, and the first names. Without any, say nothing."""
    if names:
        more = f"; and {len(names) - shown:,} more" if len(names) > shown else ""
        warnings.warn(f"skipped {len(names):,} {what}: {'; '.join(names[:shown])}{more}", stacklevel=3)


def readable(records: Sequence[Record], progress: Callable[[Sequence], Any] | None = None) -> list[Record]:
    """The records whose pictures can be opened; one warning counts and names the others.

    Args:
        records: any records; every picture is opened once (some 200 photographs a second on one core).
        progress: wraps the sequence while it is walked, for example `tqdm.tqdm`.

    Raises:
        ValueError: if none of the pictures can be opened.
    """
    good, bad = [], []
    for record in progress(records) if progress else records:
        try:
            record.image()
        except PictureError as error:
            bad.append(str(error))
        else:
            good.append(record)
    if bad and not good:
        raise ValueError(f"none of the {len(bad):,} pictures can be read; the first: {bad[0]}")
    report_skipped("pictures that cannot be read", bad)
    return good
