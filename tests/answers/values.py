"""Numbers that exercises ask for: right ones as one would write them, and usual mistakes with the hint of each."""

import torch

V = torch.tensor([[2.0, -0.2], [-0.3, 1.8], [0.9, 0.7]])  # cat, table, whole
S = torch.tensor([[1.2, -0.3], [1.5, -0.2], [0.3, 0.3], [-0.4, 1.5]])  # tabby, cat, under, table


def changed(part, row, column, number):
    part = part.clone()
    part[row, column] = number
    return part


def changes(v, s):
    """How much eq. 7 and eq. 8 change from the chapter's first cell to these vectors."""
    scores = [(p.clamp(min=0).sum(), p.amax(1).sum()) for p in (s @ v.T, S @ V.T)]
    return [float(new - old) for new, old in zip(*scores, strict=True)]


LEAN = changed(S, 2, 0, 0.1)  # "under" no longer leans towards the cat
TALL = changed(V, 1, 0, 1.9)  # the table turns to where "under" points
EQ_7, EQ_8 = changes(V, LEAN)
TOTALS = float((S @ V.T).clamp(min=0).sum()), float((S @ V.T).amax(1).sum())
HIGH = [(3, "a brown dog is sitting"), (5, "on the red sofa")]
LOW = [(3, "a brown dog"), (0, "is sitting"), (2, "on"), (5, "the red sofa")]
LONG = [LOW[0], LOW[1], LOW[3]]
OPERATIONS = 2 * 1024 * 5000 * 20 * 25_000 * 10.8

RIGHT = {
    "check_half_life": (0.933, 0.5 ** (1 / 10)),
    "check_brnn_size": ((1_502_800, 2_283_400), torch.tensor([1_502_800, 2_283_400])),
    "check_shift": (1 / 3, 0.333),
    "check_one_number": ((V, LEAN, EQ_7, EQ_8), (TALL.tolist(), S.tolist(), *changes(TALL, S))),
    "check_lessons_by_hand": (
        (HIGH, LONG, HIGH, LOW),
        [[[region, words.split()] for region, words in lessons] for lessons in (HIGH, LONG, HIGH, LOW)],
    ),
    "check_eq_9_by_hand": ((2, 6), [2.0, 6.0]),
    "check_one_region_from": (0.5, torch.tensor(0.5)),
    "check_two_perplexities": ((4, 4), torch.tensor([4.0, 4.0])),
    "check_the_the_the": ((2 / 4, 4 / 4), [0.5, 1]),
    "check_operations": (OPERATIONS, 5.53e13),
}
WRONG = [
    ("check_half_life", 0.05, "nothing is divided by ten"),
    ("check_half_life", 0.95, "nothing is taken off"),
    ("check_half_life", 0.926, "ten steps are ten factors"),
    ("check_half_life", 1.072, "that grows"),
    ("check_half_life", 0.5**10, "ten halvings"),
    ("check_half_life", 0.5, "after one step"),
    ("check_half_life", 0.9, "step by step"),
    ("check_half_life", "0.93 or so", "wanted a number"),
    ("check_half_life", (0.933, 0.933), "wanted a number"),
    ("check_brnn_size", (1_500_000, 2_280_000), "has a bias"),
    ("check_brnn_size", (1_142_200, 2_283_400), "two directions"),
    ("check_brnn_size", (1_683_400, 2_283_400), "share one input map"),
    ("check_brnn_size", (2_102_800, 2_283_400), "adds its directions"),
    ("check_brnn_size", (1_502_800, 1_683_400), "side by side"),
    ("check_brnn_size", (1_502_800, 2_282_200), "two biases a direction"),
    ("check_brnn_size", (1_502_800, 1_082_400), "the output map behind nn.RNN"),
    ("check_brnn_size", (901_800, 2_283_400), "the output map W_d"),
    ("check_brnn_size", (2_283_400, 1_502_800), "first the BRNN"),
    ("check_brnn_size", (1_502_801, 2_283_400), "step by step"),
    ("check_brnn_size", 1_502_800, "wanted 2 numbers"),
    ("check_shift", 0.5, "more than one square"),
    ("check_shift", 2 / 3, "still shared"),
    ("check_shift", 0.293, "sideways only"),
    ("check_shift", 0.25, "their quotient"),
    ("check_shift", 3, "turn it over"),
    ("check_shift", 33.3, "not in percent"),
    ("check_one_number", (V, S, 0, 0), "yours changes 0"),
    ("check_one_number", (TALL, LEAN, *changes(TALL, LEAN)), "yours changes 2"),
    ("check_one_number", (V, changed(S, 2, 0, 1.0), -1, 1), "still points at 'cat'"),
    ("check_one_number", (V, changed(S, 2, 1, -0.9), -1, 1), "still points at 'cat'"),
    ("check_one_number", (V, LEAN, EQ_8, EQ_7), "eq. 7 first"),
    ("check_one_number", (V, LEAN, -EQ_7, -EQ_8), "less what came out before"),
    ("check_one_number", (V, LEAN, EQ_7 + TOTALS[0], EQ_8 + TOTALS[1]), "what they become"),
    ("check_one_number", (V, LEAN, EQ_8, EQ_8), "eq. 7 sums over regions"),
    ("check_one_number", (V, LEAN, EQ_7, EQ_7), "best region alone"),
    ("check_one_number", (V, LEAN, 0, 0), "do not change by"),
    ("check_one_number", (V, LEAN[2], EQ_7, EQ_8), "wanted v (3 regions)"),
    ("check_one_number", (V, LEAN), "wanted v (3 regions)"),
    ("check_one_number", 0.1, "all of them numbers"),
    ("check_lessons_by_hand", (HIGH, LOW, HIGH, LONG), "first with a minimum of two"),
    ("check_lessons_by_hand", (LONG, HIGH, LOW, HIGH), "first the path of the high beta"),
    ("check_lessons_by_hand", (HIGH, HIGH, LONG, LOW), "both paths with a minimum of two"),
    ("check_lessons_by_hand", (HIGH, LOW, HIGH, LOW), "falls out"),
    ("check_lessons_by_hand", (HIGH, LONG, HIGH, LONG), "one word is enough"),
    ("check_lessons_by_hand", (HIGH, [LOW[0], LOW[3]], HIGH, LONG), "as many words as the minimum"),
    ("check_lessons_by_hand", (HIGH[:1], LONG[:2], HIGH[:1], LOW[:3]), "the last lesson is missing"),
    ("check_lessons_by_hand", (HIGH, LONG, HIGH, LOW[::-1]), "list 4 is not right"),
    ("check_lessons_by_hand", (HIGH, LONG), "two for each minimum"),
    ("check_lessons_by_hand", (2, 3, 2, 4), "wanted four lists"),
    ("check_eq_9_by_hand", (0.5, 2.5), "columns are missing"),
    ("check_eq_9_by_hand", (1.5, 5.5), "rows are missing"),
    ("check_eq_9_by_hand", (6, 2), "first without"),
    ("check_eq_9_by_hand", (2, 4), "once in its row, once in its column"),
    ("check_eq_9_by_hand", (1, 3), "not a mean"),
    ("check_eq_9_by_hand", (1, 5), "before it is summed"),
    ("check_one_region_from", 1, "stays twice"),
    ("check_one_region_from", 1 / 3, "two couples of neighbours"),
    ("check_one_region_from", 0.25, "never paid for staying"),
    ("check_one_region_from", 2, "two rewards"),
    ("check_one_region_from", 0, "its own best region"),
    ("check_one_region_from", float("nan"), "step by step"),
    ("check_two_perplexities", (4, 8.5), "the exponential comes last"),
    ("check_two_perplexities", (2, 2), "those are bits"),
    ("check_two_perplexities", (1.386, 1.386), "cross entropies"),
    ("check_two_perplexities", (0.25, 0.25), "one over their geometric mean"),
    ("check_two_perplexities", (4, 1.882), "not of probabilities"),
    ("check_two_perplexities", (4, 16), "the sure one counts"),
    ("check_the_the_the", (1, 0.5), "first with clipping"),
    ("check_the_the_the", (0.25, 1), "twice"),
    ("check_the_the_the", (0.75, 1), "not all together"),
    ("check_the_the_the", (2, 4), "as shares of"),
    ("check_the_the_the", (50, 100), "not in percent"),
    ("check_the_the_the", (0.333, 1), "the candidate's four words"),
    ("check_operations", OPERATIONS / 2, "two operations"),
    ("check_operations", OPERATIONS / 20, "every region, 20 a picture"),
    ("check_operations", OPERATIONS / 10.8, "every word, 10.8 a sentence"),
    ("check_operations", OPERATIONS / 5000, "one image"),
    ("check_operations", 55.3, "not in trillions"),
    ("check_operations", OPERATIONS * 1024, "not matrices"),
]
