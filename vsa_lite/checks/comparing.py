"""What self-checks share: random examples, and an answer beside the right one and beside those of usual mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Mistake = tuple[Callable[..., Any], str]  # what the usual mistake gives, and the hint


def _numbers(value: Any) -> Tensor | None:
    """A tensor, a number, or nested lists of them as one tensor; None for anything else."""
    try:
        if isinstance(value, tuple | list) and any(isinstance(part, Tensor) for part in value):
            return torch.stack([torch.as_tensor(part).detach().cpu().double() for part in value])
        return torch.as_tensor(value).detach().cpu().double()
    except (TypeError, ValueError, RuntimeError):
        return None


def _equal(found: Any, expected: Any, nan: bool = False) -> bool:
    """Whether two results are the same; NaN is equal to nothing, or with `nan` to itself."""
    if isinstance(expected, tuple):  # several results: each with its own shape
        same = isinstance(found, tuple | list) and len(found) == len(expected)
        return same and all(_equal(one, other, nan) for one, other in zip(found, expected, strict=True))
    found, expected = _numbers(found), _numbers(expected)
    if found is None or expected is None or found.shape != expected.shape:
        return False
    return torch.allclose(found, expected, rtol=1e-4, atol=1e-5, equal_nan=nan)


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return " and ".join(map(_show, value))
    numbers = _numbers(value)
    if numbers is None:
        return repr(value)
    flat = ", ".join(f"{number:.4g}" for number in numbers.flatten()[:6].tolist())
    return f"{flat}{', ...' if numbers.numel() > 6 else ''} (shape {tuple(numbers.shape)})"


def _made(found: Any, mistake: Callable[..., Any], case: tuple) -> bool:
    """Whether an answer is what a mistake gives; a mistake that stops at these shapes gives nothing."""
    try:
        return _equal(found, mistake(*case), nan=True)
    except (RuntimeError, IndexError, ValueError):
        return False


def compare(
    yours: Callable,
    what: str,
    cases: Sequence[tuple],
    right: Callable[..., Any],
    mistakes: Sequence[Mistake],
    trained: int | None = None,
) -> None:
    """Try `yours` on every case; say that it is right, or raise with the hint of the mistake that it equals.

    Of a loss, `trained` is the number of the argument that it trains: there its gradient must be right, too.
    """
    for case in cases:
        found = yours(*case)
        expected = right(*case)
        if not _equal(found, expected):
            for mistake, hint in mistakes:
                if _made(found, mistake, case):
                    raise AssertionError(hint)
            raise AssertionError(f"{what}: wanted {_show(expected)}, got {_show(found)}")
        if trained is not None:
            trains(yours, right, case, trained)
    print(f"{what}: right, {len(cases)} random examples agree with the package")


def trains(yours: Callable, right: Callable[..., Any], case: tuple, number: int = 0) -> None:
    """Raise unless your loss sends the right gradient to argument `number` of the case."""

    def gradient(loss_of: Callable) -> Tensor:
        leaf = case[number].clone().requires_grad_()
        loss = loss_of(*case[:number], leaf, *case[number + 1 :])
        if not (isinstance(loss, Tensor) and loss.requires_grad):
            raise AssertionError(
                "the number is right, but nothing can be trained with it: no gradient comes back. Stay with tensors, "
                "without float(), item() or detach()"
            )
        return torch.autograd.grad(loss, leaf)[0]

    if not _equal(gradient(yours), gradient(right)):
        raise AssertionError(
            "the number is right, but its gradient is not: is a part of it cut off, by detach() or so?"
        )


def vectors(generator: torch.Generator, *shape: int) -> Tensor:
    """Random numbers, in single precision as in the chapters."""
    return torch.randn(*shape, generator=generator)


def ragged(generator: torch.Generator, rows: int, length: int) -> Tensor:
    """A mask with at least one and at most `length` real places in each row, the first row short, the last one full."""
    counts = torch.randint(1, length + 1, (rows, 1), generator=generator)
    counts[0], counts[-1] = max(1, length - 2), length
    return torch.arange(length) < counts
