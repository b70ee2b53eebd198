"""Self-checks for the chapters: your function, or your number, against the right one, with a hint where they differ.

`checks.check_encode`, and so on: every check of every module is found here too, loaded when it is asked for.
"""

from __future__ import annotations

import copy
import functools
import importlib
import reprlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

SECONDS = 60  # that a check of yours may take, also on a slow machine
MODULES = ("words", "pictures", "alignment", "captions", "attention", "feedback", "photographs", "scale")
MODULES += ("exercises", "further", "more", "values")


def __getattr__(name: str) -> Callable[[Callable], None]:
    """A check, from whichever module has it."""
    for module in MODULES if name.startswith("check_") else ():
        found = getattr(importlib.import_module(f"{__name__}.{module}"), name, None)
        if found is not None:
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def self_check(check: Callable[[Callable], None]) -> Callable[[Callable], None]:
    """A check that turns whatever goes wrong in your function into a hint, and bears one that is still to be written.

    Your function gets copies, may not change them, must return something, and must come to an end.
    """

    @functools.wraps(check)
    def tried(yours: Callable) -> None:
        if not callable(yours):
            raise AssertionError("give the function itself: its name, without brackets behind it")
        found = None

        def called(*given: Any) -> Any:
            nonlocal found
            found = _call(yours, given)
            return found

        try:
            with _in_time():
                check(called)
        except AssertionError:
            raise
        except Exception as error:
            if _unwritten(error):
                print(f"{check.__name__}: still to be written")
                return
            if isinstance(error, TimeoutError):  # between two calls of yours
                raise AssertionError(str(error)) from error
            raise AssertionError(  # of the comparison: what yours gives is of another kind
                f"yours gives {reprlib.repr(found)}, which cannot be compared: {type(error).__name__}, {error}"
            ) from error

    return tried


def attempt(test: Callable[[], None]) -> None:
    """Run a test of an assignment; say that it is right, what is wrong, or that there is nothing to try yet."""
    name = test.__name__.removeprefix("test_")
    try:
        with _in_time():
            test()
    except AssertionError as hint:
        print(f"{name}: not yet. {hint}")
    except Exception as error:
        stops = f"not yet. It stops with {type(error).__name__}: {error}"
        print(f"{name}: {'still to be written' if _unwritten(error) else stops}")
    else:
        print(f"{name}: right")


def _unwritten(error: Exception) -> bool:
    """Whether it is a stub's; torch raises NotImplementedError, too, with a text: for a type that it cannot handle."""
    return isinstance(error, NotImplementedError) and not error.args


def _call(yours: Callable, given: tuple) -> Any:
    handed, before = tuple(map(_copy, given)), tuple(map(_snapshot, given))
    try:
        found = yours(*handed)
    except Exception as error:
        if _unwritten(error):
            raise
        raise AssertionError(
            f"your function stops with {type(error).__name__}: {error}. It was given {', '.join(map(_describe, given))}"
        ) from error
    if found is None:
        raise AssertionError("your function gives nothing: is there a `return`?")
    changed = [str(number) for number, pair in enumerate(zip(handed, before, strict=True), 1) if not _alike(*pair)]
    if changed:
        raise AssertionError(
            f"your function has changed what it was given (argument {', '.join(changed)}): work on a copy, or make new"
        )
    return found


@contextmanager
def _in_time() -> Iterator[None]:
    """Ends what takes longer than SECONDS, where the system can: not on Windows, and in the main thread only.

    What somebody else has set, an `attempt` around a check for one, holds again afterwards.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"it does not come to an end within {SECONDS} seconds")

    handler = signal.signal(signal.SIGALRM, stop)
    timer = signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def _tracked(part: object) -> bool:
    return isinstance(part, torch.Tensor) and part.requires_grad  # a copy would not be: its gradient is asked for


def _copy(part: object) -> object:
    return part if _tracked(part) or isinstance(part, torch.Generator) else copy.deepcopy(part)


def _snapshot(part: object) -> object:
    return part.detach().clone() if _tracked(part) else _copy(part)


def _alike(now: Any, before: Any) -> bool:
    """Whether numbers, texts, networks, and collections of them are what they were; nothing else is looked at."""
    if type(now) is not type(before):
        return False
    if isinstance(before, torch.Tensor):
        return now.shape == before.shape and now.dtype == before.dtype and torch.equal(_no_nan(now), _no_nan(before))
    if isinstance(before, np.ndarray):
        return np.array_equal(now, before, equal_nan=before.dtype.kind == "f")
    if isinstance(before, list | tuple):
        return len(now) == len(before) and all(map(_alike, now, before))
    if isinstance(before, torch.nn.Module):
        return _alike(now.state_dict(), before.state_dict())
    if isinstance(before, SimpleNamespace):
        return _alike(vars(now), vars(before))
    if isinstance(before, dict):
        return list(now) == list(before) and all(_alike(now[key], before[key]) for key in before)
    return not isinstance(before, str | int | float | set) or now == before


def _no_nan(part: torch.Tensor) -> torch.Tensor:
    return part.detach().nan_to_num(nan=0.125) if part.is_floating_point() else part


def _describe(part: object) -> str:
    if isinstance(part, torch.Tensor | np.ndarray):
        return f"numbers of shape {tuple(part.shape)}"
    return reprlib.repr(part)
