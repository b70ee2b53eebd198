"""Self-checks of numbers that exercises ask for, worked out on paper (chapters 3, 5 to 7, 9 to 12 and 16).

Each takes your number, or your numbers in the order of the question, and says that it is right or raises an
AssertionError; where it is what a usual mistake gives, the error says which. `...` is still to be written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from vsa_lite.words.brnn import BRNN

REGIONS = ((2.0, -0.2), (-0.3, 1.8), (0.9, 0.7))  # of chapter 6's first picture: cat, table, whole
WORDS = ((1.2, -0.3), (1.5, -0.2), (0.3, 0.3), (-0.4, 1.5))  # tabby, cat, under, table

Mistake = tuple[Sequence[float], str]  # the numbers that it gives, and the hint


def _compare(what: str, yours: Any, right: Sequence[float], mistakes: Sequence[Mistake], exactly: bool = False) -> None:
    """Equal to a part in five hundred, as a number with three digits is; numbers that are counted, exactly."""
    if yours is ... or yours is None:
        print(f"{what}: still to be written")
        return
    wanted = "a number" if len(right) == 1 else f"{len(right)} numbers"
    try:
        found = [float(part) for part in (yours if len(right) > 1 else [yours])]
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{what}: wanted {wanted}, got {yours!r}") from None
    if len(found) != len(right):
        raise AssertionError(f"{what}: wanted {wanted}, got {len(found)}")

    def equal(numbers: Sequence[float]) -> bool:
        return all(
            math.isclose(a, b, rel_tol=0 if exactly else 2e-3, abs_tol=1e-9)
            for a, b in zip(found, numbers, strict=True)
        )

    if not equal(right):
        hint = next((hint for numbers, hint in mistakes if equal(numbers)), "work it through again, step by step")
        raise AssertionError(f"{what}: not {', '.join(f'{number:.4g}' for number in found)}: {hint}")
    print(f"{what}: right")


def check_half_life(yours: float) -> None:
    """Chapter 3: the w of which half a knock is left after ten steps."""
    mistakes = [
        ((0.05,), "a factor of w a step, so w times itself, ten times over: nothing is divided by ten"),
        ((0.95,), "a factor of w a step, so w times itself, ten times over: nothing is taken off"),
        ((0.5 ** (1 / 9),), "ten steps are ten factors"),
        ((0.5 ** (1 / 11),), "ten steps are ten factors"),
        ((2 ** (1 / 10),), "that grows: half of it is to be left, not twice as much"),
        ((0.5**10,), "that is what ten halvings leave; here ten steps make one"),
        ((0.5,), "that is left after one step"),
        ((0.1 ** (1 / 10),), "half is left, not a tenth"),
    ]
    _compare("half-life", yours, (0.5 ** (1 / 10),), mistakes)


def check_brnn_size(yours: Sequence[float]) -> None:
    """Chapter 3: how many numbers the BRNN learns, and how many `nn.RNN` with its output map."""

    def count(*modules: torch.nn.Module) -> int:
        return sum(p.numel() for module in modules for p in module.parameters())

    x, h, s = 300, 600, 1000
    right = count(BRNN(x, h, s)), count(torch.nn.RNN(x, h, bidirectional=True), torch.nn.Linear(2 * h, s))
    recurrent, output = h * h + h, h * s + s
    mistakes = [
        ((x * h + 2 * h * h + h * s, 2 * (x * h + h * h) + 2 * h * s), "every map has a bias, too"),
        ((right[0] - recurrent, right[1]), "the recurrence runs in two directions, each with its own map"),
        ((right[0] + x * h + h, right[1]), "both directions of the BRNN share one input map"),
        ((right[0] + h * s, right[1]), "the BRNN adds its directions: its output map takes one width, not two"),
        ((right[0], right[1] - h * s), "nn.RNN lays its directions side by side: its output map is twice as wide"),
        ((right[0], right[1] - 2 * h), "nn.RNN has two biases a direction: of the input and of the recurrence"),
        ((right[0], right[1] - 2 * h * s - s), "the output map behind nn.RNN counts, too"),
        ((right[0] - output, right[1]), "the output map W_d counts, too"),
        (right[::-1], "first the BRNN, then nn.RNN"),
    ]
    _compare("the size of a BRNN", yours, right, mistakes, exactly=True)


def check_shift(yours: float) -> None:
    """Chapter 5: the share of its side by which a square is shifted, for an IoU of one half with where it was."""
    mistakes = [
        ((0.5,), "half of each square is shared then: IoU divides by the union, which is more than one square"),
        ((2 / 3,), "that is what is still shared"),
        ((1 - math.sqrt(0.5),), "it is shifted sideways only"),
        ((1 - math.sqrt(2 / 3),), "it is shifted sideways only"),
        ((0.25,), "shared 1 - d, together 1 + d: their quotient is to be one half"),
        ((3.0,), "turn it over: a share of the side"),
        ((33.3,), "as a share, not in percent"),
    ]
    _compare("the shift", yours, (1 / 3,), mistakes)


def check_one_number(yours: Sequence[Any]) -> None:
    """Chapter 6: (v, s, change of eq. 7, change of eq. 8), one number of v or s changed."""
    if yours is ... or yours is None:
        print("one number: still to be written")
        return
    before = torch.tensor(REGIONS).double(), torch.tensor(WORDS).double()
    try:
        v, s = (torch.as_tensor(part).detach().double() for part in yours[:2])
        found = [float(part) for part in yours[2:]]
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError("one number: wanted v, s and two changes, all of them numbers") from None
    if (v.shape, s.shape, len(found)) != (before[0].shape, before[1].shape, 2):
        raise AssertionError("one number: wanted v (3 regions), s (4 words), and how much eq. 7 and eq. 8 change")
    changed = sum(int((~torch.isclose(one, old)).sum()) for one, old in zip((v, s), before, strict=True))
    if changed != 1:
        raise AssertionError(f"one number: change a single one of the first cell's numbers; yours changes {changed}")
    products = s @ v.T
    if int(products[2].argmax()) != 1:
        liked = ("cat", "table", "whole")[int(products[2].argmax())]
        raise AssertionError(
            f"one number: “under” still points at {liked!r}: which of its products must be the largest?"
        )
    old = before[1] @ before[0].T
    scores = [(p.clamp(min=0).sum(), p.amax(1).sum()) for p in (products, old)]
    right = [float(new - was) for new, was in zip(*scores, strict=True)]
    mistakes = [
        (right[::-1], "eq. 7 first, then eq. 8"),
        ([-change for change in right], "a change is what comes out now, less what came out before"),
        ([float(new) for new in scores[0]], "by how much they change, not what they become"),
        ([right[1], right[1]], "eq. 7 sums over regions, too, where a product is above 0"),
        ([right[0], right[0]], "eq. 8 takes each word's best region alone"),
    ]
    close = [round(number, 2) for number in found]
    for numbers, hint in ((right, ""), *mistakes):
        if all(abs(a - b) < 0.011 for a, b in zip(found, numbers, strict=True)):
            if hint:
                raise AssertionError(f"one number: not {close}: {hint}")
            print("one number: right")
            return
    raise AssertionError(f"one number: “under” points at the table, but the scores do not change by {close}")


def check_eq_9_by_hand(yours: Sequence[float]) -> None:
    """Chapter 7: eq. 9 of two pictures and two sentences, without l = k and with it."""
    mistakes = [
        ((0.5, 2.5), "columns are missing: wrong pictures of each sentence"),
        ((1.5, 3.5), "rows are missing: wrong sentences of each picture"),
        ((0.5, 4.5), "columns are missing: wrong pictures of each sentence"),
        ((1.5, 5.5), "rows are missing: wrong sentences of each picture"),
        ((6.0, 2.0), "first without l = k, then with it"),
        ((2.0, 4.0), "l = k adds the margin twice for each pair: once in its row, once in its column"),
        ((2.0, 3.0), "l = k adds the margin twice for each pair: there are two pairs"),
        ((1.0, 3.0), "a sum over pairs, not a mean"),
        ((1.0, 5.0), "what is below 0 counts 0, each by itself and before it is summed"),
    ]
    _compare("eq. 9 by hand", yours, (2.0, 6.0), mistakes)


def check_one_region_from(yours: float) -> None:
    """Chapter 9: the beta from which on the best path of the three words is one region."""
    mistakes = [
        ((1.0,), "the path of one region stays twice, and so is paid twice"),
        ((1 / 3,), "three words are two couples of neighbours"),
        ((0.25,), "0 1 0 is never paid for staying"),
        ((2.0,), "compare 3, what the words give alone, with 2 and two rewards"),
        ((1.5,), "compare 3, what the words give alone, with 2 and two rewards"),
        ((0.0,), "without a reward every word takes its own best region"),
    ]
    _compare("one region from", yours, (0.5,), mistakes)


def check_two_perplexities(yours: Sequence[float]) -> None:
    """Chapter 10: of a writer torn between four words, and of one that is sure, and torn between sixteen, in turn."""
    mistakes = [
        ((4.0, 8.5), "the mean is taken of logarithms, and the exponential comes last"),
        ((2.0, 2.0), "those are bits: the exponential of the mean logarithm is missing"),
        ((math.log(4), math.log(4)), "those are the cross entropies: perplexity is their exponential"),
        ((0.25, 0.25), "those are probabilities: perplexity is one over their geometric mean"),
        ((0.25, 0.53125), "those are mean probabilities: perplexity is one over their geometric mean"),
        ((4.0, 1 / 0.53125), "the mean is taken of logarithms, not of probabilities"),
        ((4.0, 16.0), "divide by the number of words: the sure one counts, too"),
        ((4.0, 2.0), "two words: the square root of 1 times 16"),
    ]
    _compare("two perplexities", yours, (4.0, 4.0), mistakes)


def check_the_the_the(yours: Sequence[float]) -> None:
    """Chapter 11: p_1 of the candidate, with clipping and without."""
    mistakes = [
        ((1.0, 0.5), "first with clipping, then without"),
        ((0.25, 1.0), "a word counts as often as the reference that has it most has it: twice"),
        ((0.75, 1.0), "the reference that has it most decides, not all together"),
        ((2.0, 4.0), "as shares of the candidate's four words"),
        ((50.0, 100.0), "as shares, not in percent"),
        ((1 / 3, 1.0), "divide by the candidate's four words, not by the reference's six"),
        ((0.5, 0.5), "without clipping every word counts that some reference has"),
    ]
    _compare("the the the", yours, (0.5, 1.0), mistakes)


LESSONS = (  # of the high beta, then of the low one
    ((3, "a brown dog is sitting"), (5, "on the red sofa")),
    ((3, "a brown dog"), (0, "is sitting"), (2, "on"), (5, "the red sofa")),
)


def check_lessons_by_hand(yours: Sequence[Sequence[tuple[int, str]]]) -> None:
    """Chapter 12: lessons (region, "its words") of both paths with a minimum of two, then of both with one."""
    if yours is ... or yours is None:
        print("lessons by hand: still to be written")
        return
    try:
        found = [
            [(int(region), words if isinstance(words, str) else " ".join(words)) for region, words in lessons]
            for lessons in yours
        ]
    except (TypeError, ValueError):
        raise AssertionError(f"lessons by hand: wanted four lists of (region, words), got {yours!r}") from None
    high, low = map(list, LESSONS)
    long = [lesson for lesson in low if " " in lesson[1]]
    right = [high, long, high, low]
    if len(found) != len(right):
        raise AssertionError(f"lessons by hand: wanted four lists, two for each minimum, got {len(found)}")
    mistakes = [
        ([high, low, high, long], "first with a minimum of two, then of one"),
        ([long, high, low, high], "first the path of the high beta, then that of the low one"),
        ([high, high, long, low], "both paths with a minimum of two, then both with one"),
        ([high, low, high, low], "a lesson of one word falls out where two are the minimum"),
        ([high, long, high, long], "one word is enough where one is the minimum"),
        ([high, [one for one in low if one[1].count(" ") > 1], high, long], "as many words as the minimum are enough"),
        ([lessons[:-1] for lessons in right], "the last lesson is missing: it ends where the sentence does"),
        (
            [high, [(3, "a brown dog"), (5, "the red sofa")], high, low],
            "two words are enough where two are the minimum",
        ),
    ]
    if found != right:
        hint = next((hint for lists, hint in mistakes if found == lists), None)
        number = next(n for n, (one, other) in enumerate(zip(found, right, strict=True), 1) if one != other)
        hint = hint or f"list {number} is not right: where does the region change along the path?"
        raise AssertionError(f"lessons by hand: {hint}")
    print("lessons by hand: right")


def check_operations(yours: float) -> None:
    """Chapter 16: operations of eq. 8 for COCO's 5,000 test images against 25,000 sentences."""
    right = 2 * 1024 * 5000 * 20 * 25_000 * 10.8
    mistakes = [
        ((right / 2,), "a product and a sum for each of the 1,024 numbers: two operations"),
        ((right / 20,), "each word meets every region, 20 a picture"),
        ((right / 10.8,), "each region meets every word, 10.8 a sentence"),
        ((right / 216,), "every word meets every region"),
        ((right / 5000,), "that is one image: there are 5,000"),
        ((right / 1024,), "a product of vectors is 1,024 products and sums"),
        ((right / 1e12,), "as a plain number, not in trillions"),
        ((right * 1024,), "vectors, not matrices: h counts once"),
    ]
    _compare("operations", yours, (right,), mistakes)
